"""Cells that are sheared or very long, and atoms far from all others, in every evaluator.

The same lattice has the same energies whatever vectors describe it, and what is out of reach of
everything changes nothing.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.evaluate.native import NativeEvaluator, NativeRowBuilder, instruction_sets
from acepot.evaluate.protocol import EnergyEvaluator, Result, require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lattice import complete
from acepot.lowering import lower
from acepot.neighbours import build
from acepot.structure import Structure
from acepot.tables import Tables

MODEL = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
#: eV, of one silicon atom every 5 Å along two directions.
SQUARE_LATTICE = -4.901464
PERIODICITIES = [tuple(map(bool, p)) for p in product((0, 1), repeat=3)]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return lower(acepot.load(MODEL))


def _evaluators(tables: Tables) -> dict[str, EnergyEvaluator]:
    made: dict[str, EnergyEvaluator] = {
        isa: NativeEvaluator(tables, 1, isa) for isa in instruction_sets()
    }
    made["reference"] = ReferenceEvaluator(tables)
    return made


def _atoms(seed: int, pbc: tuple[bool, ...], count: int = 6) -> Structure:
    """A triclinic cell, smaller than the cut-off, with atoms in and outside it."""
    rng = np.random.default_rng(seed)
    while True:
        cell = np.diag([4.6, 5.3, 5.0]) + rng.uniform(-1.2, 1.2, (3, 3))
        cell = np.round(cell * 65536) / 65536  # so that its multiples are exact
        places = rng.uniform(-0.6, 1.6, (count, 3)) @ cell
        structure = Structure(np.full(count, 14), places, cell, pbc)
        lengths = np.linalg.norm(build(structure, 6.0).vector, axis=1)
        if lengths.min(initial=9.0) > 1.7:
            return structure


def _sheared(structure: Structure, k: int) -> Structure:
    """Whole multiples of one periodic vector added to another."""
    cell, pbc = np.array(structure.cell), structure.pbc
    for i, j in ((1, 0), (2, 0 if not pbc[1] else 1)):
        if pbc[i] and pbc[j]:
            cell[i] += k * cell[j]
    return _in_cell(structure, cell)


def _in_cell(structure: Structure, cell: np.ndarray) -> Structure:
    return Structure(structure.numbers, structure.positions, cell, structure.pbc)


def _assert_same(got: Result, want: Result, limit: float, what: str) -> None:
    scale = max(np.abs(want.energies).max(), np.abs(want.forces).max(), 1.0)
    for name in ("energies", "forces", "virials"):
        error = np.abs(getattr(got, name) - getattr(want, name)).max() / scale
        assert error < limit, f"{what}: {name} differ by {error:.1e}"


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_equivalent_cells_have_the_same_energies_forces_and_virials(tables, pbc):
    plain = _atoms(41, pbc)
    oracle = require(ReferenceEvaluator(tables).evaluate([plain]))[0]
    for name, evaluator in _evaluators(tables).items():
        want = require(evaluator.evaluate([plain]))[0]
        _assert_same(want, oracle, 1e-11, f"{name}, plain")
        for k in (1, 3, 30, 100, 1000):
            got = require(evaluator.evaluate([_sheared(plain, k)]))[0]
            _assert_same(got, want, 1e-12, f"{name}, sheared by {k}")


@pytest.mark.parametrize("k", [3, 100, 1000])
def test_equivalent_cells_have_the_same_rows(case_named, k):
    case = case_named("two-elements")
    structure = case.structures["triclinic"]
    structure = _in_cell(structure, np.round(structure.cell * 65536) / 65536)
    builder = NativeRowBuilder(case.tables)
    rows = [
        np.full((3 * len(structure) + 7, case.tables.functions), np.nan, order="F")
        for _ in range(2)
    ]
    for one, out in zip((structure, _sheared(structure, k)), rows, strict=True):
        builder.fill(one, ("energy", "forces", "virial"), out)
    assert np.abs(rows[0] - rows[1]).max() < 1e-12 * max(1.0, np.abs(rows[0]).max())


def test_one_atom_in_a_very_long_cell_has_the_energy_of_its_layer(tables):
    long = Structure([14], np.zeros((1, 3)), np.diag([5.0, 5.0, 1e6]), True)
    layer = Structure([14], np.zeros((1, 3)), np.diag([5.0, 5.0, 0.0]), [True, True, False])
    for name, evaluator in _evaluators(tables).items():
        for structure in (long, layer):
            energy = require(evaluator.evaluate([structure]))[0].energy
            assert energy == pytest.approx(SQUARE_LATTICE, abs=1e-6), name


def test_one_atom_in_a_very_long_cell_has_the_energy_of_its_layer_in_torch(tables):
    pytest.importorskip("torch", reason="needs acepot[torch]")
    from acepot.evaluate.torch.evaluator import TorchEvaluator

    long = Structure([14], np.zeros((1, 3)), np.diag([5.0, 5.0, 1e6]), True)
    energy = require(TorchEvaluator(tables).evaluate([long]))[0].energy
    assert energy == pytest.approx(SQUARE_LATTICE, abs=1e-6)


@pytest.mark.parametrize("pbc", PERIODICITIES[:-1])
def test_groups_of_atoms_far_apart_do_not_know_of_each_other(tables, pbc):
    """Far apart along all directions that do not repeat."""
    groups = [_atoms(seed, pbc) for seed in (42, 43, 44)]
    cell = groups[0].cell
    groups = [_in_cell(group, cell) for group in groups]
    open_rows = ~np.array(pbc)
    moves = [np.where(open_rows, d, 0.0) for d in (0.0, 65536.0, -262144.0)]
    if any(pbc):  # along the normals of what repeats
        normal = complete(cell, np.array(pbc))
        moves = [move @ normal for move in moves]
    far = [
        Structure(group.numbers, group.positions + move, cell, pbc)
        for group, move in zip(groups, moves, strict=True)
    ]
    whole = Structure(
        np.concatenate([g.numbers for g in far]), np.vstack([g.positions for g in far]), cell, pbc
    )
    for name, evaluator in _evaluators(tables).items():
        parts = require(evaluator.evaluate(far))
        (result,) = require(evaluator.evaluate([whole]))
        joined = replace(
            result,
            energies=np.concatenate([p.energies for p in parts]),
            forces=np.vstack([p.forces for p in parts]),
            virials=np.vstack([p.virials for p in parts]),
        )
        _assert_same(result, joined, 1e-9, name)


def test_the_module_for_torchforce_refuses_what_ends_its_library(tables):
    pytest.importorskip("vesin_torch", reason="needs acepot[torch]")
    import torch

    from acepot.evaluate.torch.module import AceModule
    from torch_ace.structure import StructureModule

    module = torch.jit.script(StructureModule(AceModule(tables)))
    species, places = torch.zeros(2, dtype=torch.int64), torch.zeros((2, 3), dtype=torch.float64)
    cell = torch.diag(torch.tensor([5.0, 5.0, 1e6], dtype=torch.float64))
    every, some = torch.tensor([True] * 3), torch.tensor([True, True, False])
    places[1, 0] = 2.3
    energies, _ = module(species, places, cell, some)
    assert torch.isfinite(energies).all()
    with pytest.raises(torch.jit.Error, match=r"1000000\.0? A long, expected at most 60000\.0? A"):
        module(species, places, cell, every)
    places[1, 2] = 1e6
    with pytest.raises(torch.jit.Error, match=r"expected at most 60000\.0? A"):
        module(species, places, cell, some)


def test_absurd_cells_are_refused_or_work(tables: Tables) -> None:
    """20,000 of any length that a number can be, in a plane or nearly so; one atom in each."""
    rng, count = np.random.default_rng(17), 20000
    kind = np.arange(count) % 4
    cells = rng.uniform(-1, 1, (count, 3, 3))
    with np.errstate(over="ignore", under="ignore"):
        any_length = cells * 10.0 ** rng.uniform(-323, 308, (count, 3, 1))
        one_length = cells * 10.0 ** rng.uniform(-323, 308, (count, 1, 1))
    multiples = np.rint(rng.uniform(-1, 1, (count, 2)) * 10.0 ** rng.uniform(0, 12, (count, 2)))
    flat = 8 * cells
    flat[:, 2] *= 10.0 ** rng.uniform(-19, -9, (count, 1))
    flat[:, 2] += (multiples[:, :, None] * flat[:, :2]).sum(axis=1)
    flat = np.take_along_axis(
        flat, rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)[..., None], 1
    )
    sound = 8 * cells + 8 * np.eye(3)
    cells = np.choose(kind[:, None, None], [any_length, one_length, flat, sound])
    pbc = (rng.random((count, 3)) < 0.8).astype(np.int32)
    energies = np.full((1, count), 77.0)
    failed = NativeEvaluator(tables, 1)._handle.evaluate(
        rng.uniform(-9, 9, (count, 3)), np.zeros(count, np.int32), np.arange(count + 1), cells, pbc,
        2, 1, energies, None, None, None,
    )  # fmt: skip
    bad = np.array([structure for structure, _ in failed])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(energies[0])), np.sort(bad))
    assert count / 4 < len(bad) < 3 * count / 4
    reasons = (
        "below 1e8 A",
        "span no volume",
        "has the cell collapsed",
        "this model",
        "same point",
    )
    assert [w for _, w in failed if not any(reason in w for reason in reasons)] == []
