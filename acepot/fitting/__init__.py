"""Fitting: data and a configuration in, a model with its posterior out."""
