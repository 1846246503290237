"""Models and structures for `engines.py`: seeds are fixed, so every run makes the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from routes.cases import Case

import acepot
from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.pace_family import ChebPow
from acepot.basis.spec import BasisSpec
from acepot.conversion import convert
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure

ROOT = Path(__file__).parents[1]
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
SHARED = ROOT / ".." / "shared" / "data" / "pace_potentials"
COPPER = SHARED / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace"

# ------------------------------------------------------------------ models


def silicon(path: Path) -> None:
    """The shipped model: one element, 1,041 functions, pair part, committee."""
    shutil.copyfile(SILICON, path)


def oxide(path: Path) -> None:
    """Two elements, canonical, with a pair part."""
    spec = BasisSpec(("O", "Si"), order=3, degree=7.0, formulation="canonical")
    acepot.save(_random(spec, 11), path)


def hydroxide(path: Path) -> None:
    """Three elements without a pair part."""
    spec = BasisSpec(("H", "O", "Si"), order=3, degree=6.0, cutoff=4.0, pair=Pair(degree=0))
    acepot.save(_random(spec, 12), path)


def organic(path: Path) -> None:
    """Four elements with a pair part, every pair with a cut-off of its own."""
    spec = BasisSpec(("H", "C", "N", "O"), order=3, degree=5.0, pair=Pair(degree=3))
    acepot.save(_random(spec, 13), path)


def nickel_aluminium(path: Path) -> None:
    """Two elements, read from .yace: two densities, one of them under a square root."""
    radial = ChebPow(exponent=2.0)
    spec = BasisSpec(
        ("Al", "Ni"), order=3, degree=(8, 7, 6), cutoff=5.0, radial=radial, pair=Pair(degree=0)
    )
    linear = _random(spec, 14)
    second = np.random.default_rng(15).permutation(linear.coefficients[0, 0])
    embedding = Embedding("FinnisSinclairShiftedScaled", weights=(1.0, -0.5), exponents=(1.0, 0.5))
    coefficients = np.array([[linear.coefficients[0, 0], second]])
    nonlinear = Nonlinear((embedding, embedding))
    model = Model(linear.basis, coefficients, linear.e0, nonlinear=nonlinear)
    acepot.save(model, path.with_suffix(".acepot"))
    convert(path.with_suffix(".acepot"), path)


def copper(path: Path) -> None:
    """A real one: Cu-PBE-core-rep, two densities and a core repulsion."""
    shutil.copyfile(COPPER, path)


#: What makes the file of a model, by its name.
MODELS: dict[str, Callable[[Path], None]] = {
    "silicon.acepot": silicon,
    "oxide.acepot": oxide,
    "hydroxide.acepot": hydroxide,
    "organic.acepot": organic,
    "nickel-aluminium.yace": nickel_aluminium,
}
if COPPER.exists():
    MODELS["copper.ace"] = copper


def _random(spec: BasisSpec, seed: int) -> Model:
    """Coefficients with which every function has about the same part of the energy."""
    basis = resolve(spec)
    tables = lower(basis)
    structure = _structure("bulk", basis.numbers, _length(tables.cutoff))
    (sites,) = require(ReferenceEvaluator(tables).values([structure]))
    scale = np.abs(sites.values[0]).max(axis=(0, 2))
    usual = float(np.median(scale))
    scale = np.where(scale > 1e-3 * usual, scale, usual)
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=len(scale)) / scale
    return Model(basis, coefficients, rng.normal(-3.0, size=len(basis.numbers)))


# ------------------------------------------------------------------ structures

#: Skewed lattices with about one atom in a unit of volume; the second is far from reduced.
_SKEW = np.array([[1.0, 0.1, -0.2], [0.3, 0.9, 0.15], [-0.25, 0.2, 1.1]])
_FAR = np.array([[1.0, 0.0, 0.05], [1.7, 0.9, 0.0], [-0.8, 1.6, 1.05]])

#: Repeats of a grid, its lattice, periodic directions.
_GRIDS: dict[str, tuple[tuple[int, int, int], np.ndarray, str]] = {
    "bulk": ((4, 3, 3), np.diag([1.0, 1.05, 0.95]), "TTT"),
    "triclinic": ((2, 3, 2), _SKEW, "TTT"),
    "far from reduced": ((2, 2, 2), _FAR, "TTT"),
    "left-handed": ((2, 2, 2), _SKEW[[1, 0, 2]], "TTT"),
    "slab": ((3, 2, 2), _SKEW, "TTF"),
    "wire": ((2, 2, 3), _SKEW, "FTF"),
    "molecule": ((3, 2, 2), _SKEW, "FFF"),
    "small cell": ((1, 2, 1), _SKEW, "TTT"),
    "one periodic atom": ((1, 1, 1), _SKEW, "TTT"),
    "far outside": ((2, 2, 3), _SKEW, "TTT"),
}
STRUCTURES = tuple(_GRIDS)


def _length(cutoff: np.ndarray) -> float:
    """A distance of neighbours in Å that suits a model: 2.3 for silicon."""
    return float(np.clip(cutoff.max() / 2.3, 1.7, 2.45))


def _structure(name: str, numbers: tuple[int, ...], length: float) -> Structure:
    """Atoms on a distorted grid, their elements in random order."""
    repeats, lattice, flags = _GRIDS[name]
    rng = np.random.default_rng([7, STRUCTURES.index(name)])
    steps = np.array(list(np.ndindex(*repeats)))
    positions = (steps + rng.uniform(-0.12, 0.12, (len(steps), 3))) @ lattice * length
    cell = lattice * np.array(repeats)[:, None] * length
    if name == "far outside":
        positions += rng.integers(-20, 20, (len(steps), 3)) @ cell
    pbc = np.array([flag == "T" for flag in flags])
    elements = rng.permutation(np.resize(numbers, len(steps)))
    return Structure(elements, positions, cell * pbc[:, None], pbc, name=name)


def made_cases(folder: Path, models: list[str], structures: list[str]) -> Iterator[Case]:
    """Write model files; every structure with every model.

    Args:
        folder: takes the files.
        models: names of `MODELS`.
        structures: names of `STRUCTURES`.
    """
    for model in models:
        path = folder / model
        MODELS[model](path)
        loaded = acepot.load(path)
        length = _length(lower(loaded).cutoff)
        for name in structures:
            s = _structure(name, tuple(loaded.numbers), length)
            yield Case(name, path, s.numbers, s.positions, s.cell, s.pbc)
