"""What is measured of every frozen file, by the code that wrote it and by the code of today.

Only names that users import are used here, so that the same lines run with both.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import acepot

#: Forces an instruction set of the native evaluator.
_VARIABLE = "ACEPOT_INSTRUCTION_SET"

#: Fractional positions, cells in Å and periodic directions: nothing symmetric, nothing reduced.
#: No two atoms of the first three are nearer than 1.4 Å; the last ones are within a core of 1.1 Å.
_CELL = np.array([[4.6, 0.3, -0.2], [-0.5, 4.1, 0.4], [0.7, -0.3, 4.9]])
_SITES = np.array(
    [
        [0.02, 0.05, 0.01],
        [0.48, 0.11, 0.07],
        [0.09, 0.55, 0.16],
        [0.41, 0.46, 0.62],
        [0.86, 0.2, 0.6],
    ]
)
_MOLECULE = np.array(
    [[0.0, 0.1, -0.2], [1.5, 0.3, 0.2], [-0.4, 1.7, 0.5], [0.9, 1.2, 1.9], [-1.1, -0.6, 1.4]]
)


def structures(numbers: tuple[int, ...]) -> list[acepot.Structure]:
    """A triclinic crystal, a slab, a molecule and two near atoms, of a model's elements.

    Args:
        numbers: atomic numbers of the model.
    """
    mixed = np.resize([numbers[0], numbers[-1], numbers[-1], numbers[0], numbers[-1]], 5)
    return [
        acepot.Structure(mixed, _SITES @ _CELL, _CELL, True, name="triclinic"),
        acepot.Structure(mixed[::-1], _SITES @ _CELL, _CELL, (True, True, False), name="slab"),
        acepot.Structure(mixed, _MOLECULE, name="molecule"),
        acepot.Structure(mixed[:2], [[0.1, 0.2, 0.3], [0.7, -0.5, 0.8]], name="near"),
    ]


@contextmanager
def instruction_set(name: str) -> Iterator[None]:
    """The native evaluator with one instruction set."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def measured(model: acepot.Model, evaluator: str) -> np.ndarray:
    """Energies per atom, forces and virials of all structures and of a small committee, in one row.

    Args:
        model: any.
        evaluator: reference, or an instruction set of the native evaluator.
    """
    if evaluator == "reference":
        potential = acepot.Potential(model, "reference")
    else:
        with instruction_set(evaluator):
            potential = acepot.Potential(model, "native", threads=1)
    members = model.committee is not None and len(model.committee) < 5
    parts: list[np.ndarray] = []
    for structure in structures(model.numbers):
        found = potential.compute(structure, committee=members)
        parts += [found.energies, found.forces, found.virial]
        if found.committee is not None:
            parts += [found.committee.energies, found.committee.forces, found.committee.virials]
    return np.concatenate([np.ravel(part) for part in parts])


def measured_tables(data: bytes, name: str) -> np.ndarray:
    """The same of Tables in their byte form, as LAMMPS and torch hand them to the library.

    Args:
        data: the bytes.
        name: of an instruction set.
    """
    from acepot import _native

    evaluator = _native.Evaluator(data, name)
    parts: list[Any] = []
    for s in structures((8, 14)):
        species = np.ascontiguousarray(s.numbers == 14, dtype=np.int32)
        pbc = s.pbc.astype(np.int32)
        n = len(s)
        found = [np.empty((1, n, *shape)) for shape in ((), (3,), (3, 3))]
        first, cell = np.array([0, n]), s.cell[None]
        assert not evaluator.evaluate(
            s.positions, species, first, cell, pbc[None], 1, 1, *found, None
        )
        parts += [np.ravel(part) for part in found]
    return np.concatenate(parts)


def arithmetic() -> str:
    """A fingerprint of everything below this package that may round differently.

    Elementary functions, matrix products and factorisations of numpy and scipy take other
    instructions on other processors and in other versions, and compilers order sums differently.
    Where the fingerprint is that of the machine that wrote the numbers, they are compared bit for
    bit, elsewhere to rounding.
    """
    import scipy.linalg

    from acepot.evaluate.native import extension_file

    rng = np.random.default_rng(1)
    x = rng.uniform(0.1, 3.0, 1000)
    a = rng.normal(size=(300, 40))
    u, s, vt = scipy.linalg.svd(a, full_matrices=False)
    parts = [
        np.exp(-x), np.sin(x), np.cos(x), np.log(x), x**2.3, np.sqrt(x), a.T @ a, a @ a[:40].T,
        np.linalg.qr(a)[1], scipy.linalg.qr(a, mode="r", pivoting=True)[0], u, s, vt,
        scipy.linalg.cholesky(a.T @ a), np.einsum("ij,ik->jk", a, a), np.linalg.eigh(a.T @ a)[1],
    ]  # fmt: skip
    found = b"".join(np.ascontiguousarray(p).tobytes() for p in parts)
    compiler = b" ".join(re.findall(rb"GCC: \([^\0]*", extension_file().read_bytes())[:1])
    return hashlib.sha256(found + compiler).hexdigest()
