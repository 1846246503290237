"""Structures from files and from ASE Atoms, with the labels they carry."""
