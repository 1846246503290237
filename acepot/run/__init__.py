"""Runs that take long: one process at a time, and checkpoints, to which files are cut back."""
