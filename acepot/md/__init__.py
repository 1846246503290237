"""Molecular dynamics in the engine of choice: what `acepot md` runs."""
