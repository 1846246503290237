"""Matrices of no program whose overlap is exactly two-centre, and the data of others if there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acepot.basis.harmonics import real_harmonics
from acepot.evaluate.blocks import block
from acepot.hamiltonian.formats.assembly import completed
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.hamiltonian.orders import from_acepot, rearranged
from acepot.orbitals import Orbitals
from acepot.structure import Structure

#: Data that may not be distributed.
OTHERS = Path(__file__).parents[4].parent / "shared/data/hamiltonians"
REACH = 5.0


@pytest.fixture(scope="session")
def others() -> Path:
    if not OTHERS.is_dir():
        pytest.skip(f"needs {OTHERS}")
    return OTHERS


def geometry() -> Structure:
    """Three atoms of two elements in a cell without symmetry, one of them outside of it."""
    cell = np.array([[4.1, 0.2, -0.3], [0.5, 4.6, 0.4], [-0.2, 0.6, 5.2]])
    places = np.array([[0.1, 0.2, 0.3], [2.2, 1.9, 2.4], [0.4, 2.4, -1.1]])
    places[1] += cell[0] - cell[2]
    return Structure([14, 8, 14], places, cell, True, name="synthetic")


def synthetic(
    shells: dict[str, str], seed: int = 0, structure: Structure | None = None
) -> Snapshot:
    """H symmetric and else random, S = Σ_L c_L(d) T^L Y_L(d̂) for even l1 + l2 + L."""
    rng = np.random.default_rng(seed)
    structure = geometry() if structure is None else structure
    orbitals = Orbitals(shells)
    index, overlap, hamiltonian = [], [], []
    span = range(-2, 3) if structure.pbc.any() else range(1)
    for i, a in enumerate(structure.numbers.tolist()):
        for j, b in enumerate(structure.numbers.tolist()):
            for t in np.ndindex(len(span), len(span), len(span)):
                shift = np.array([span[n] for n in t])
                if (i, j, *(-shift).tolist()) in index or (j, i, *(-shift).tolist()) in index:
                    continue
                d = structure.positions[j] + shift @ structure.cell - structure.positions[i]
                if np.linalg.norm(d) > REACH:
                    continue
                index.append((i, j, *shift.tolist()))
                made = _two_centre(orbitals, a, b, d, rng)
                free = rng.normal(size=made.shape)
                if not np.any(d):
                    free = free + free.T
                overlap.append(made)
                hamiltonian.append(3.0 * made + 0.5 * free)
    place = np.array(index)
    parts = []
    for blocks in (hamiltonian, overlap):
        parts.append(OrbitalMatrix.of(structure, orbitals, *completed(place, blocks)))
    return Snapshot(parts[0], parts[1], electrons=12.0, fermi=-3.25, name="synthetic")


def _two_centre(orbitals, a, b, d, rng):  # type: ignore[no-untyped-def]
    made = np.zeros((orbitals.count(a), orbitals.count(b)))
    length = np.linalg.norm(d)
    if length == 0.0:
        return np.eye(len(made))
    most = max(orbitals.ls(a)) + max(orbitals.ls(b))
    y, _ = real_harmonics(d[None] / length, most)
    for l1, rows in zip(orbitals.ls(a), orbitals.slices(a), strict=True):
        for l2, columns in zip(orbitals.ls(b), orbitals.slices(b), strict=True):
            even = range(abs(l1 - l2), l1 + l2 + 1, 2)
            parts = [
                (n, 0.3 * rng.normal() * np.exp(-length / 2) * y[0, n * n : (n + 1) ** 2])
                for n in even
            ]
            made[rows, columns] = block(parts, l1, l2)
    return made


@pytest.fixture(scope="session")
def make() -> Callable[..., Snapshot]:
    return synthetic


@pytest.fixture(scope="session")
def snapshot() -> Snapshot:
    """s p of oxygen, s s p d of silicon."""
    return synthetic({"O": "sp", "Si": "sspd"})


def theirs(matrix: OrbitalMatrix, program: str):  # type: ignore[no-untyped-def]
    """Index and blocks as a program would have them."""
    moves = {z: from_acepot(program, matrix.orbitals.ls(z)) for z in matrix.orbitals.numbers}
    index, blocks = [], []
    for (a, b), one in matrix.pairs.items():
        index += one.index.tolist()
        blocks += list(rearranged(one.values, moves[a], moves[b]))
    return np.array(index), blocks


@pytest.fixture(scope="session")
def written() -> Callable[..., tuple[np.ndarray, list[np.ndarray]]]:
    return theirs


def dense(matrix: OrbitalMatrix, program: str):  # type: ignore[no-untyped-def]
    """T and the whole matrix of each in a program's order."""
    index, blocks = theirs(matrix, program)
    vectors = np.unique(index[:, 2:], axis=0)
    made = np.zeros((len(vectors), matrix.size, matrix.size))
    first = matrix.offsets
    for (i, j, *t), one in zip(index.tolist(), blocks, strict=True):
        n = int(np.flatnonzero((vectors == t).all(axis=1))[0])
        made[n, first[i] : first[i + 1], first[j] : first[j + 1]] = one
    return vectors, made


@pytest.fixture(scope="session")
def whole() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return dense


def agree(one: Snapshot, two: Snapshot, to: float = 0.0) -> None:
    """The same H, S, atoms and cell, exactly if `to` is zero."""
    for a, b in ((one.hamiltonian, two.hamiltonian), (one.overlap, two.overlap)):
        assert a is not None and b is not None
        assert sorted(a.pairs) == sorted(b.pairs)
        for pair in a.pairs:
            assert np.array_equal(a.pairs[pair].index, b.pairs[pair].index)
            error = np.abs(a.pairs[pair].values - b.pairs[pair].values).max()
            assert error <= to, f"{pair}: {error}"
    assert np.array_equal(one.structure.numbers, two.structure.numbers)
    assert np.abs(one.structure.positions - two.structure.positions).max() <= to
    assert np.abs(one.structure.cell - two.structure.cell).max() <= to
    assert one.orbitals == two.orbitals


@pytest.fixture(scope="session")
def same() -> Callable[..., None]:
    return agree
