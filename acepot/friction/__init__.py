"""Friction that depends on the configuration: models of Γ, their fits, dynamics, coarse-graining."""
