"""Nested sampling: all phases of a model from one walk down in enthalpy."""
