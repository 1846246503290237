"""The moves of walkers; each keeps the prior under the limit as it is."""
