"""Crystals by name, "Si:diamond", and repeated cells."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.io.structures.datasets import read_structures
from acepot.potential import Potential
from acepot.structure import Structure

__all__ = ["PROTOTYPES", "crystal", "repeated", "supercell"]

Floats = NDArray[np.float64]
#: Sites in units of the cell.
Sites = tuple[tuple[float, ...], ...]
_FCC: Sites = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
_BCC: Sites = ((0, 0, 0), (0.5, 0.5, 0.5))


def _shifted(sites: Sites, by: float) -> Sites:
    return tuple(tuple(x + by for x in site) for site in sites)


_CUBE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_HEXAGON = ((1.0, 0.0, 0.0), (-0.5, 0.75**0.5, 0.0), (0.0, 0.0, (8 / 3) ** 0.5))
#: Cells: vectors, and sites of the first and of the second element.
PROTOTYPES: dict[str, tuple[Sites, tuple[Sites, ...]]] = {
    "sc": (_CUBE, (((0, 0, 0),),)),
    "bcc": (_CUBE, (_BCC,)),
    "fcc": (_CUBE, (_FCC,)),
    "diamond": (_CUBE, ((*_FCC, *_shifted(_FCC, 0.25)),)),
    "hcp": (_HEXAGON, (((1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)),)),
    "rocksalt": (_CUBE, (_FCC, _shifted(_FCC, 0.5))),
    "zincblende": (_CUBE, (_FCC, _shifted(_FCC, 0.25))),
    "cesiumchloride": (_CUBE, (((0, 0, 0),), ((0.5, 0.5, 0.5),))),
}
_NAME = re.compile(r"([A-Z][a-z]?)([A-Z][a-z]?)?:([a-z]+)(?::([0-9.]+))?")
#: Shortest distances that are tried for a crystal without a lattice constant, in bond lengths.
_TRIED = np.linspace(0.8, 1.35, 56)


def crystal(name: str, potential: Potential | None = None) -> Structure:
    """The crystal of a name, or the first structure of a file.

    Args:
        name: ELEMENTS:PROTOTYPE, such as Si:diamond or NaCl:rocksalt, with a lattice constant in Å
            behind another colon if wanted (Cu:fcc:3.6); or a file.
        potential: finds the lattice constant where none is given; None: it must be given.

    Returns:
        The conventional cell, periodic along all directions; not yet at rest.

    Raises:
        InputError: an unknown name, a file that holds no crystal, elements the model lacks.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return _read(name)
    first, second, kind, length = found.groups()
    if kind not in PROTOTYPES:
        raise InputError(f"{name}: expected one of {', '.join(PROTOTYPES)}, got {kind!r}")
    vectors, sites = PROTOTYPES[kind]
    symbols = [first] if second is None else [first, second]
    if len(symbols) != len(sites):
        raise InputError(f"{name}: {kind} has {len(sites)} elements, got {len(symbols)}")
    numbers = [atomic_number(s) for s, part in zip(symbols, sites, strict=True) for _ in part]
    fractions = np.array([site for part in sites for site in part], dtype=float)
    shape = np.array(vectors)
    unit = Structure(numbers, fractions @ shape, shape, True, name=name)
    if length is not None:
        return _scaled(unit, float(length))
    if potential is None:
        raise InputError(f"{name}: expected a lattice constant behind another colon, {name}:4.0")
    return _at_minimum(unit, potential)


def _read(name: str) -> Structure:
    if not Path(name).exists():
        raise InputError(
            f"{name}: expected a file, or a crystal such as Si:diamond "
            f"({', '.join(PROTOTYPES)}), and there is no such file"
        )
    structure = read_structures(name)[0][0]
    if not structure.pbc.all():
        raise InputError(f"{name}: expected a crystal, periodic along three directions")
    return structure.moved(structure.positions)


def _scaled(unit: Structure, by: float) -> Structure:
    return unit.moved(unit.positions * by, unit.cell * by)


def _at_minimum(unit: Structure, potential: Potential) -> Structure:
    """At the minimum of the energy that is nearest to a usual bond length."""
    nearest = min(_distances(unit))
    bond = float(np.mean([BOND_LENGTHS.get(int(z), 3.0) for z in unit.numbers]))
    tried = [_scaled(unit, bond / nearest * part) for part in _TRIED]
    found = potential.compute_all(tried, failures="keep")
    energies = np.array([np.inf if r.error is not None else r.energy for r in found])
    inner = (energies[1:-1] < energies[:-2]) & (energies[1:-1] < energies[2:])
    minima = np.flatnonzero(inner) + 1
    if len(minima) == 0:
        raise InputError(
            f"{unit.name}: the energy has no minimum between bonds of {bond * _TRIED[0]:.2f} and "
            f"{bond * _TRIED[-1]:.2f} Å; give a lattice constant, {unit.name}:4.0"
        )
    return tried[int(minima[np.argmin(np.abs(_TRIED[minima] - 1))])]


def _distances(unit: Structure) -> Floats:
    """Distances of all atoms from each other, images included."""
    shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
    apart = unit.positions[None, :] - unit.positions[:, None]
    all_ = apart[:, :, None] + shifts @ unit.cell
    lengths = np.linalg.norm(all_, axis=-1).ravel()
    return np.asarray(lengths[lengths > 1e-8])


def repeated(structure: Structure, matrix: NDArray[np.int64]) -> Structure:
    """A cell of several, whose vectors are whole combinations of those there are.

    Args:
        structure: one cell.
        matrix: rows are the new vectors in units of the old, shape (3, 3), or three numbers.

    Returns:
        The atoms of the new cell; those of the first old cell are not necessarily first.
    """
    rows = np.diag(matrix) if np.ndim(matrix) == 1 else np.asarray(matrix)
    cell = rows @ structure.cell
    reach = np.abs(rows).sum(axis=0) + 1
    grid = np.array(list(np.ndindex(*(2 * reach + 1)))) - reach
    inside = (grid + 1e-9) @ np.linalg.inv(rows)
    shifts = grid[((inside > -1e-6) & (inside < 1 - 1e-6)).all(axis=1)]
    if len(shifts) != round(abs(float(np.linalg.det(rows)))):
        raise InputError(f"{structure.name}: {rows.tolist()} is no matrix of a supercell")
    positions = (shifts @ structure.cell)[:, None] + structure.positions
    numbers = np.tile(structure.numbers, len(shifts))
    return Structure(numbers, positions.reshape(-1, 3), cell, True, name=structure.name)


def supercell(structure: Structure, atoms: int) -> tuple[int, int, int]:
    """How often to repeat a cell so that it has so many atoms or more and is nearly a cube.

    Vectors of one length are repeated equally often, which keeps the symmetry of the crystal.
    """
    lengths = np.linalg.norm(structure.cell, axis=1)
    counts = np.ones(3, dtype=int)
    while counts.prod() * len(structure) < atoms:
        reach = counts * lengths
        counts[reach < reach.min() * (1 + 1e-4)] += 1
    return int(counts[0]), int(counts[1]), int(counts[2])
