"""Artificial cells of atoms that are too close, with the energies of screened nuclei.

Data hold no such atoms, and products of many factors may then attract without bound. Cells and
clusters at random are squeezed to 0.45 to 0.95 of the shortest distance of the data, with the
energy Σ E0 + Σ_{pairs} V_ZBL(r_ij) of those pairs that are closer than any in the data (Ziegler,
Biersack and Littmark, The Stopping and Range of Ions in Solids, 1985). Their rows weigh so little
that an error of half of that energy and 1 eV per atom counts like one of 4 meV per atom of real
structures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.pace_radial import ZblRadial
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.fitting.weighting import FACTORS
from acepot.neighbours import build
from acepot.structure import Structure

__all__ = ["squeezed"]

Floats = NDArray[np.float64]
#: Distances in units of the shortest of the data, and what stands for that of a pair that the data
#: do not have, in bond lengths.
_LEAST, _MOST, _UNKNOWN = 0.45, 0.95, 0.7
#: Atoms of a cell or cluster; part of them that repeat.
_ATOMS, _PERIODIC = (2, 8), 0.8
#: Volume of an atom before squeezing in cubes of the mean shortest distance, and how cells shear.
_VOLUME, _SHEAR = 2.2**3, 0.15
#: Distances in Å up to which and below which nothing is evaluated.
_REACH, _CLOSEST = 6.0, 0.25
#: What an error of this part of the repulsion and this energy in eV/atom counts like, in eV/atom.
_PART, _EACH, _LIKE = 0.5, 1.0, 0.004
#: Tries for each cell that is wanted.
_TRIES = 200


def squeezed(
    elements: Sequence[str],
    shortest: Mapping[str, float],
    e0: Mapping[str, float],
    count: int,
    seed: int = 0,
) -> list[Structure]:
    """Cells and clusters with atoms that are too close, labelled and weighed.

    Args:
        elements: symbols that they are made of.
        shortest: shortest distance in the data in Å by pair of elements, "O-Si".
        e0: energy of the isolated atom in eV by symbol.
        count: how many.
        seed: of the generator.
    """
    numbers = np.array([atomic_number(s) for s in elements])
    least = _least(elements, shortest)
    generator = np.random.default_rng(seed)
    found: list[Structure] = []
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        made = _cell(generator, numbers, least)
        if made is not None:
            found.append(_labelled(made, numbers, least, e0, f"artificial cell {len(found)}"))
    return found


def _least(elements: Sequence[str], shortest: Mapping[str, float]) -> Floats:
    """The shortest distance of every pair, shape (S, S)."""

    def of(a: str, b: str) -> float:
        for name in (f"{a}-{b}", f"{b}-{a}"):
            if name in shortest:
                return shortest[name]
        bond = sum(BOND_LENGTHS.get(atomic_number(s), 3.0) for s in (a, b)) / 2
        return _UNKNOWN * bond

    return np.array([[of(a, b) for b in elements] for a in elements])


def _cell(
    generator: np.random.Generator, numbers: NDArray[np.int64], least: Floats
) -> Structure | None:
    """Atoms at random, squeezed; None if some would be closer than is evaluated."""
    count = int(generator.integers(_ATOMS[0], _ATOMS[1] + 1))
    species = generator.integers(len(numbers), size=count)
    length = float(least[np.ix_(species, species)].mean()) * (_VOLUME * count) ** (1 / 3)
    cell = length * (np.eye(3) + generator.normal(scale=_SHEAR, size=(3, 3)))
    positions = generator.random((count, 3)) @ cell
    periodic = bool(generator.random() < _PERIODIC)
    wanted = generator.uniform(_LEAST, _MOST)
    made = Structure(numbers[species], positions, cell if periodic else None, periodic)
    near = _near(made, numbers, least, length)
    if near is None:
        return None
    scale = wanted / near
    if scale * near * least.min() < _CLOSEST:
        return None
    return Structure(made.numbers, positions * scale, cell * scale if periodic else None, periodic)


def _near(
    structure: Structure, numbers: NDArray[np.int64], least: Floats, reach: float
) -> float | None:
    """The shortest distance in units of the shortest of the data; None: no neighbours."""
    edges = build(structure, reach)
    if not len(edges.vector):
        return None
    a, b = (np.searchsorted(numbers, structure.numbers[s]) for s in (edges.centre, edges.neighbour))
    return float((np.linalg.norm(edges.vector, axis=1) / least[a, b]).min())


def _labelled(
    structure: Structure,
    numbers: NDArray[np.int64],
    least: Floats,
    e0: Mapping[str, float],
    name: str,
) -> Structure:
    """With the repulsion of pairs that are closer than any in the data, and its weight."""
    edges = build(structure, float(least.max()))
    r = np.linalg.norm(edges.vector, axis=1)
    a, b = (np.searchsorted(numbers, structure.numbers[s]) for s in (edges.centre, edges.neighbour))
    repulsion = 0.0
    for i, j in np.ndindex(least.shape):
        close = (a == i) & (b == j) & (r < least[i, j])
        if close.any():
            pair = ZblRadial(1.0, (int(numbers[i]), int(numbers[j])), _REACH, 1.0)
            repulsion += float(pair.evaluate(r[close]).value.sum())
    n = len(structure)
    energy = repulsion + sum(e0[SYMBOLS[z]] for z in structure.numbers.tolist())
    # Rows of energies are divided by √n, and so is what an error of so much per atom counts.
    factor = _LIKE * n / (_PART * repulsion + _EACH * n)
    return Structure(
        structure.numbers, structure.positions, structure.cell, structure.pbc,
        energy=energy, config_type="artificial", name=name,
        labels={FACTORS: np.array([factor, 0.0, 0.0])},
    )  # fmt: skip
