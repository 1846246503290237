"""Coarse-graining: a potential of mean force and friction from fine trajectories."""
