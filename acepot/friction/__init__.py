"""Friction that depends on the configuration: models, fits, dynamics, coarse-graining."""
