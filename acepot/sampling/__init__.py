"""Nested sampling: what is sampled, by which moves, and what follows from it."""
