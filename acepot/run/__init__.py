"""Runs that take long: one process at a time, checkpoints, and files that go back to them."""
