"""A compact model of Mo, Nb, Ta and W without holes, from data of the metals and of their pairs.

`nested_alloy.py` says where the data are from. They have single metals, also hot and with surfaces,
but of two elements only bcc crystals with atoms on their sites, and nothing of three: most
functions of a model of four elements see no data at all. What an expert knows goes in as further
structures:

- *Blends.* In bcc metals of nearly one size an atom feels that it has neighbours, and less which
  ones. So a structure of several elements has the energy Σ_i e_Z(i)(all atoms are Z(i)), with the
  energies of atoms in models of the single metals, and pair functions of unlike atoms that are
  fitted to what the data of two elements have beside it. Cells of random atoms, hot bcc crystals,
  dimers and trimers get such labels, with the same weights as the data. The model of the alloy has
  all functions of this sum, so that it can be it exactly.
- *Close atoms.* Dimers and squeezed cells with the screened Coulomb energy of nuclei (Ziegler,
  Biersack and Littmark), far closer than in any data.

The data have no free atoms either: E0 is the energy of the bulk metal and its cohesive energy
(Kittel).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from alloy_structures import STEPS, coulomb, mixtures, squeezed
from numpy.typing import NDArray

import acepot
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.fitting.fitted import Fit
from acepot.holes.judgement import judged
from acepot.holes.paths import Path as HolePath
from acepot.holes.scan import scan
from acepot.io.structures.datasets import read_structures
from acepot.neighbours import build
from acepot.sampling.cells import Floats
from acepot.structure import Structure

METALS = ("Mo", "Nb", "Ta", "W")
#: eV: that of an atom of the bulk in these data, and the cohesive energy.
E0 = {"Nb": 7.57 - 10.10, "Mo": 6.82 - 10.85, "Ta": 8.10 - 11.85, "W": 8.90 - 12.96}
BASIS = {"order": 3, "degree": [8, 6, 4], "cutoff": 5.0, "r0": 2.8}
#: Shortest distances of hot single metals in Å; pairs have their mean.
SHORTEST = {"Mo": 2.12, "Nb": 2.19, "Ta": 2.10, "W": 2.19}
#: Of the runs: smallest distances are these parts of the shortest, and volumes in Å³ per atom are
#: between these. What holes there are beyond, no walker comes to.
CLOSEST, VOLUMES = 0.92, (10.0, 30.0)
#: Of the structures, each so many is fitted.
EVERY = 5
WEIGHTS = {f"close{step}": {"energy": 0.3 / step} for step in STEPS}
#: Of blends where pair functions shall rather be nothing.
NOTHING = {"blend": {"energy": 3.0, "forces": 0.1}}
#: Å, of the differences that forces are made from; eV per atom, of blends that are left out.
SHIFT, HIGH = 1e-3, 8.0


def fitted(folder: Path, data: Path) -> Fit:
    """The model of the alloy, with its test errors, saved as FOLDER/model.acepot.

    Args:
        folder: of the model.
        data: with train.extxyz.xz and test.extxyz.xz.
    """
    train = read_structures(data / "train.extxyz.xz")[0][::EVERY]
    numbers = [atomic_number(name) for name in METALS]
    close = [_labelled(one) for one in squeezed(np.random.default_rng(0), numbers)]
    single = {
        atomic_number(name): _potential(_fit(_of(train + close, name), [name]).model)
        for name in METALS
    }
    mixed = mixtures(np.random.default_rng(1), numbers)
    pairs = _pairs([one for one in train if len(set(one.numbers.tolist())) > 1], mixed, single)
    blends = [blended(one, single, pairs) for one in mixed]
    kept = [one for one in blends if _above_atoms(one) < HIGH]
    found = _fit(train + close + kept, METALS, test=read_structures(data / "test.extxyz.xz")[0])
    acepot.save(found.model, folder / "model.acepot")
    return found


def _potential(model: acepot.Model) -> acepot.Potential:
    return acepot.Potential(model, threads=1)


def _pairs(
    data: Sequence[Structure], mixed: Sequence[Structure], single: dict[int, acepot.Potential]
) -> acepot.Potential:
    """Pair functions of unlike atoms: what the data have beside blends; elsewhere rather nothing.

    Args:
        data: of two elements.
        mixed: elsewhere.
        single: models of single metals by atomic number.
    """
    rest = []
    for one in data:
        blend = blended(one, single)
        energy, forces = labels(one)
        other, pull = labels(blend)
        rest.append(_with(one, energy - other, forces - pull, "data"))
    nothing = [_with(one, 0.0, np.zeros_like(one.positions), "blend") for one in mixed]
    functions = [
        {"centre": a, "elements": [b], "n": [n], "l": [0]}
        for a in METALS
        for b in METALS
        for n in range(1, BASIS["degree"][0] + 1)
        if a != b
    ]
    basis = {"elements": list(METALS), "order": 1, "functions": functions, "pair": {"degree": 0}}
    own = {name: BASIS[name] for name in ("cutoff", "r0")}
    fit = acepot.fit(
        rest + nothing, basis | own, e0=dict.fromkeys(METALS, 0.0),
        weights=NOTHING, observables=["energy", "forces"], threads=1,
    )  # fmt: skip
    return _potential(fit.model)


def _with(one: Structure, energy: float, forces: Floats, group: str) -> Structure:
    return Structure(
        one.numbers, one.positions, one.cell, one.pbc, energy, forces, config_type=group
    )


def _fit(structures: Sequence[Structure], elements: Sequence[str], **given: Any) -> Fit:
    groups = {one.config_type for one in structures}
    return acepot.fit(
        structures, {"elements": list(elements), **BASIS},
        e0={name: E0[name] for name in elements},
        weights={name: weights for name, weights in WEIGHTS.items() if name in groups},
        observables=["energy", "forces"], threads=1, **given,
    )  # fmt: skip


def _of(structures: Sequence[Structure], name: str) -> list[Structure]:
    """Those of one element."""
    return [one for one in structures if set(one.numbers.tolist()) == {atomic_number(name)}]


def labels(structure: Structure) -> tuple[float, Floats]:
    """Energy in eV and forces in eV/Å of a structure that must have both."""
    if structure.energy is None or structure.forces is None:
        raise ValueError(f"{structure.name}: expected energy and forces")
    return structure.energy, structure.forces


def _above_atoms(structure: Structure) -> float:
    """Energy per atom above free atoms."""
    free = sum(E0[SYMBOLS[z]] for z in structure.numbers.tolist())
    return (labels(structure)[0] - free) / len(structure)


def _labelled(structure: Structure) -> Structure:
    energy, n = coulomb(structure), len(structure)
    step = min(STEPS, key=lambda s: abs(np.log(s * n / energy)))
    total = energy + sum(E0[SYMBOLS[z]] for z in structure.numbers.tolist())
    return Structure(
        structure.numbers, structure.positions, structure.cell, structure.pbc, total,
        config_type=f"close{step}",
    )  # fmt: skip


def _pair(a: int, b: int) -> str:
    """Its name, elements in the order of METALS."""
    return "-".join(sorted((SYMBOLS[a], SYMBOLS[b]), key=METALS.index))


def least(scale: float) -> dict[str, float]:
    """Distances by pair in Å.

    Args:
        scale: of the shortest ones.
    """
    return {
        f"{a}-{b}": round(scale * 0.5 * (SHORTEST[a] + SHORTEST[b]), 3)
        for k, a in enumerate(METALS)
        for b in METALS[k:]
    }


def holes(model: acepot.Model) -> tuple[int, list[float]]:
    """How many holes a full look finds, and how deep those within the prior are, eV per atom.

    Args:
        model: of the alloy.
    """
    found = scan(_potential(model), shortest=least(1.0))
    inside = [
        judged(one.path, one.energies[within(one.path)[: len(one.energies)]])
        for one in found.curves
    ]
    ours = [one.hole for one in inside if one.hole is not None]
    return len(found.holes), sorted(one.energy / len(one.structure) for one in ours)


def within(path: HolePath) -> NDArray[np.bool_]:
    """Which steps of a path of atoms that come closer are within the prior of the runs."""
    pairs = least(CLOSEST)
    limits = np.array([[pairs[_pair(a, b)] for b in path.numbers] for a in path.numbers])
    one = Structure(path.numbers, path.places, path.cell, path.cell.any())
    edges = build(one, 2 * path.distance + 5)
    lengths = np.linalg.norm(edges.vector, axis=1)
    allowed = path.scales > (limits[edges.centre, edges.neighbour] / lengths).max(initial=0.0)
    if path.cell.any():
        allowed &= path.scales**3 * one.volume > VOLUMES[0] * len(path.numbers)
    return np.asarray(allowed)


# ------------------------------------------------------------------ blends


def blended(
    structure: Structure, single: dict[int, acepot.Potential], pairs: acepot.Potential | None = None
) -> Structure:
    """A structure with the energy of atoms that do not see which elements the others are.

    Args:
        structure: of several elements.
        single: models of single metals by atomic number.
        pairs: what unlike atoms have beside it.
    """
    n, three = len(structure), structure.positions.size
    steps = SHIFT * np.eye(three).reshape(three, n, 3)
    places = structure.positions + np.concatenate([np.zeros((1, n, 3)), steps, -steps])
    energies = np.zeros(len(places))
    for z in np.unique(structure.numbers).tolist():
        own, numbers = structure.numbers == z, np.full(n, z)
        moved = [Structure(numbers, x, structure.cell, structure.pbc) for x in places]
        energies += [one.energies[own].sum() for one in single[z].compute_all(moved)]
    up, down = energies[1 : three + 1], energies[three + 1 :]
    energy, forces = float(energies[0]), (down - up).reshape(n, 3) / (2 * SHIFT)
    if pairs is not None:
        more = pairs.compute(structure)
        energy, forces = energy + more.energy, forces + more.forces
    return _with(structure, energy, forces, "blend")


# ------------------------------------------------------------------ order


def orders(model: acepot.Model, volume: float) -> str:
    """Energies of all arrangements of two atoms of each element on the sites of bcc.

    Two cells of eight sites: 2 × 2 × 2 primitive ones and 2 × 2 × 1 cubic ones.

    Args:
        model: of the alloy.
        volume: Å³ per atom.
    """
    edge, whole = np.cbrt(2 * volume), np.indices((2, 2, 2)).reshape(3, -1).T
    primitive = 0.5 * edge * (np.ones((3, 3)) - 2 * np.eye(3))
    flat = whole * [1.0, 1.0, 0.5] + whole[:, 2:] * [0.5, 0.5, 0.0]
    numbers = sorted(2 * [atomic_number(name) for name in METALS])
    every = sorted(set(permutations(numbers)))
    told = []
    for name, cell, places in (
        ("2 x 2 x 2 primitive", 2 * primitive, whole @ primitive),
        ("2 x 2 x 1 cubic", edge * np.diag([2.0, 2.0, 1.0]), edge * flat),
    ):
        cells = [Structure(one, places, cell, True) for one in every]
        found = np.array([one.energy for one in _potential(model).compute_all(cells)]) / len(
            numbers
        )
        told.append(
            f"{found.min():.3f} ({name} cells, {1e3 * (found.mean() - found.min()):.0f} "
            "meV below their mean)"
        )
    return f"lowest of {len(every)} arrangements on bcc, eV/atom: {', '.join(told)}"
