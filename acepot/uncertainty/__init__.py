"""How sure a model is: posterior, calibration, extrapolation grades, leverage of data."""
