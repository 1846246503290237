"""Atoms that a file holds fixed are read, kept and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acepot import Structure, from_atoms, read_structures, write_structures
from acepot.errors import InputError

HEAD = 'Lattice="4 0 0 0 5 0 0 0 6" Properties=species:S:1:pos:R:3:move_mask:L:{}'


@pytest.mark.parametrize(
    ("width", "words", "fixed"),
    [
        (1, ["F", "T"], [[True] * 3, [False] * 3]),
        (3, ["F F F", "T F T"], [[True] * 3, [False, True, False]]),
        (3, ["false 0 F", "true 1 T"], [[True] * 3, [False] * 3]),
        (1, ["T", "T"], None),
    ],
)
def test_a_move_mask_is_read_and_written(
    width: int, words: list[str], fixed: list[list[bool]] | None, tmp_path: Path
) -> None:
    rows = [f"Si {i} 0 1 {word}" for i, word in enumerate(words)]
    (tmp_path / "a.xyz").write_text("\n".join(["2", HEAD.format(width), *rows]) + "\n")
    (one,), _ = read_structures(tmp_path / "a.xyz")
    assert one.fixed is None if fixed is None else one.fixed.tolist() == fixed
    assert one.labelled(energy=1.0).fixed is one.fixed
    write_structures(tmp_path / "b.xyz", [one])
    (again,), _ = read_structures(tmp_path / "b.xyz")
    assert ("move_mask" in (tmp_path / "b.xyz").read_text()) == (fixed is not None)
    assert again.fixed is None if fixed is None else (again.fixed == one.fixed).all()
    assert (again.positions == one.positions).all()


@pytest.mark.parametrize(
    ("width", "word", "message"),
    [(1, "maybe", "move_mask: expected T or F, got 'maybe'"), (2, "T T", "1 or 3 columns, got 2")],
)
def test_a_move_mask_that_says_nothing_is_refused(
    width: int, word: str, message: str, tmp_path: Path
) -> None:
    text = f"1\n{HEAD.format(width)}\nSi 0 0 0 {word}\n"
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(InputError, match=f"a.xyz: frame 0 .*{message}"):
        read_structures(tmp_path / "a.xyz")


def test_constraints_of_ase_are_kept() -> None:
    ase = pytest.importorskip("ase")
    constraints = pytest.importorskip("ase.constraints")
    atoms = ase.Atoms("Si4", positions=np.eye(4)[:, :3] * 3)
    assert from_atoms(atoms).fixed is None
    atoms.set_constraint(
        [constraints.FixAtoms([2]), constraints.FixCartesian([0, 2], [False, True, False])]
    )
    one = from_atoms(atoms)
    assert one.fixed.tolist() == [[False, True, False], [False] * 3, [True] * 3, [False] * 3]
    atoms.set_constraint(
        [constraints.FixBondLength(0, 1), constraints.FixAtoms(mask=[True, False, False, False])]
    )
    one = from_atoms(atoms)
    assert one.fixed[0].all() and not one.fixed[1:].any()
    assert len(one.constraints) == 1 and one.constraints[0].startswith("FixBondLength")


def test_a_structure_takes_whole_atoms_or_directions() -> None:
    places = [[0, 0, 0], [2, 0, 0]]
    assert Structure([14, 14], places, fixed=[True, False]).fixed.tolist() == [
        [True] * 3, [False] * 3,
    ]  # fmt: skip
    with pytest.raises(InputError, match="fixed: expected shape"):
        Structure([14, 14], places, fixed=[True])
