"""Artificial structures of an alloy: random mixtures, and atoms closer than in any data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from acepot.neighbours import build
from acepot.sampling.cells import Floats
from acepot.structure import Structure

#: How many mixtures of each kind there are, and how many squeezed cells of each pair of elements.
MIXTURES, SQUEEZED = {"atoms": 250, "crystals": 250, "clusters": 150}, 30
#: eV per atom of squeezed cells.
STEPS = (10, 20, 40, 80)
#: What a nucleus' electrons make of Coulomb's law (Ziegler, Biersack and Littmark).
SCREENING = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))


def mixtures(random: np.random.Generator, numbers: Sequence[int]) -> list[Structure]:
    """Random atoms, hot bcc crystals, and dimers and trimers, of two elements or more.

    Args:
        random: of everything.
        numbers: atomic numbers that there may be.
    """
    made = [crystal(random, numbers) for _ in range(MIXTURES["crystals"])]
    for kind, make in (("atoms", crowd), ("clusters", cluster)):
        tried = (make(random, numbers) for _ in range(100 * MIXTURES[kind]))
        apart = (one for one in tried if _shortest(one) > 1.8)
        made += [one for one, _ in zip(apart, range(MIXTURES[kind]), strict=False)]
    return made


def _elements(random: np.random.Generator, numbers: Sequence[int], n: int) -> np.ndarray:
    found = random.choice(numbers, n)
    while len(set(found.tolist())) < 2:
        found = random.choice(numbers, n)
    return found


def crystal(random: np.random.Generator, numbers: Sequence[int]) -> Structure:
    """A strained bcc crystal of two to eight atoms an image, displaced at random."""
    times = np.array([[1, 1, 2], [1, 2, 2], [2, 2, 2]][random.integers(3)])
    edge = np.cbrt(2 * np.exp(random.uniform(np.log(12), np.log(24))))
    primitive = 0.5 * edge * (np.ones((3, 3)) - 2 * np.eye(3))
    strained = primitive @ (np.eye(3) + 0.05 * random.standard_normal((3, 3)))
    shifts = np.stack(np.meshgrid(*map(np.arange, times), indexing="ij"), -1).reshape(-1, 3)
    places = shifts @ strained
    places = places + random.uniform(0, 0.4) * random.standard_normal(places.shape)
    return Structure(
        _elements(random, numbers, len(places)), places, times[:, None] * strained, True
    )


def crowd(random: np.random.Generator, numbers: Sequence[int]) -> Structure:
    """Two to eight atoms anywhere in a cell."""
    n = int(random.integers(2, 9))
    shape = np.eye(3) + 0.2 * random.standard_normal((3, 3))
    volume = n * np.exp(random.uniform(np.log(11), np.log(45)))
    cell = shape * np.cbrt(volume / abs(np.linalg.det(shape)))
    return Structure(_elements(random, numbers, n), random.random((n, 3)) @ cell, cell, True)


def cluster(random: np.random.Generator, numbers: Sequence[int]) -> Structure:
    """Two or three atoms within 5 Å."""
    n = int(random.integers(2, 4))
    direction = random.standard_normal((n, 3))
    lengths = random.uniform(1.8, 5.0, n)
    places = direction * (lengths / np.linalg.norm(direction, axis=1))[:, None]
    places[0] = 0
    return Structure(_elements(random, numbers, n), places, np.zeros((3, 3)), False)


def _shortest(structure: Structure) -> float:
    lengths = np.linalg.norm(build(structure, 4.0).vector, axis=1)
    return float(lengths.min(initial=4.0))


def squeezed(random: np.random.Generator, numbers: Sequence[int]) -> list[Structure]:
    """Dimers, and cells of two to six atoms of one element or two, closer than in any data.

    Args:
        random: of everything.
        numbers: atomic numbers that there may be.
    """
    made = list[Structure]()
    for pair in combinations_with_replacement(numbers, 2):
        for r in np.arange(1.0, 1.85, 0.1):
            places = [[0.0, 0.0, 0.0], [r, 0.0, 0.0]]
            made.append(Structure(pair, places, np.zeros((3, 3)), False))
        tried = (_squeezed(random, pair) for _ in range(100 * SQUEEZED))
        cells = (one for one in tried if one is not None)
        made += [one for one, _ in zip(cells, range(SQUEEZED), strict=False)]
    return made


def _squeezed(random: np.random.Generator, elements: Sequence[int]) -> Structure | None:
    """A cell squeezed to some energy; None: two of its atoms are almost in one place."""
    n = int(random.integers(2, 7))
    atoms = random.choice(elements, n)
    shape = np.eye(3) + 0.2 * random.standard_normal((3, 3))
    wanted = n * float(np.exp(random.uniform(np.log(STEPS[0]), np.log(STEPS[-1]))))
    places = random.random((n, 3))
    for edge in 6.0 * 0.97 ** np.arange(60):
        one = Structure(atoms, edge * places @ shape, edge * shape, True)
        if coulomb(one) > wanted:
            break
    return one if coulomb(one) < 1.5 * wanted else None


def coulomb(structure: Structure) -> float:
    """Sum of the screened Coulomb energies of all pairs within 3 Å in eV."""
    edges = build(structure, 3.0)
    z = structure.numbers.astype(float)
    lengths = np.linalg.norm(edges.vector, axis=1)
    return 0.5 * float(repulsion(z[edges.centre], z[edges.neighbour], lengths).sum())


def repulsion(first: Floats, second: Floats, r: Floats) -> Floats:
    """Universal screened Coulomb energy of two nuclei in eV, r in Å."""
    x = r * (first**0.23 + second**0.23) / 0.46850
    screened = sum(weight * np.exp(-decay * x) for weight, decay in SCREENING)
    return np.asarray(14.399645 * first * second / r * screened)
