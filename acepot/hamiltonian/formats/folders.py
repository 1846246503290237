"""Which program a folder is of, by the names of its files."""

from __future__ import annotations

import re

#: Matrices of CP2K: which one, the spin and the image of the cell.
CP2K = re.compile(r".*-(KS|S)_SPIN_(\d+)_R_(\d+)-\d+_\d+\.csr$")
#: Files of ABACUS.
ABACUS_H, ABACUS_S, ABACUS_LOG = (
    "data-HR-sparse_SPIN0.csr",
    "data-SR-sparse_SPIN0.csr",
    "running_scf.log",
)


def is_deeptb(names: set[str]) -> bool:
    """Whether a folder with these files is one of DeePTB."""
    return {"hamiltonians.h5", "positions.dat", "cell.dat"} <= names


def is_old(names: set[str]) -> bool:
    """Whether it has the old layout of DeepH."""
    return {"hamiltonians.h5", "site_positions.dat", "lat.dat", "orbital_types.dat"} <= names


def is_new(names: set[str]) -> bool:
    """Whether it has the new one."""
    return {"hamiltonian.h5", "POSCAR", "info.json"} <= names


def is_aims(names: set[str]) -> bool:
    """Whether it is one of FHI-aims."""
    return {"rs_indices.out", "rs_hamiltonian.out"} <= names


def is_abacus(names: set[str]) -> bool:
    """Whether it is one of ABACUS."""
    return {ABACUS_H, ABACUS_LOG} <= names


def is_cp2k(names: set[str]) -> bool:
    """Whether it is one of CP2K."""
    return any((match := CP2K.match(one)) and match.group(1) == "KS" for one in names)


def is_cp2k_text(names: set[str]) -> bool:
    """Whether it holds matrices that CP2K printed as text."""
    return any(one.endswith((".Log", ".ao")) for one in names) and any(
        one.endswith(".xyz") for one in names
    )
