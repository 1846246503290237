"""Evaluators: Tables and Edges in, energies, forces and virials out."""
