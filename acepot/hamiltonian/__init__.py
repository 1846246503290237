"""Matrices of Hamiltonians in atomic orbitals: data, fits, predictions, spectra."""
