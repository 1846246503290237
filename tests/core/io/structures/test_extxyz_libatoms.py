"""Extended XYZ as libAtoms' own parser reads it: the same numbers, and what it refuses we refuse.

It crashes on some damaged files, so that random damage is not compared.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acepot import Structure, read_structures, write_structures
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError

libatoms = pytest.importorskip("extxyz")

READ = {
    "plain": '2\nLattice="5 0 0 0 5 0 0 1 5" Properties=species:S:1:pos:R:3 energy=-1.5 '
    'pbc="T T F"\nSi 0 0 0\nSi 1 1 1\n',
    "quoted": '1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 name="a b c" '
    'flag=T arr="1 2 3"\nSi 0.5 1e-3 2.5E0\n',
    "braces": "1\nProperties=species:S:1:pos:R:3 arr={1 2 3} old=[1,2,3]\nH 0 0 0\n",
    "columns": "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 0 0.1 0.2 0.3\n",
    "logical": "1\nProperties=species:S:1:pos:R:3:mask:L:1\nH 0 0 0 T\n",
    "tabs": "1\nProperties=species:S:1:pos:R:3\tenergy=2\nH\t0\t0\t0\n",
    "negative": "1\nProperties=species:S:1:pos:R:3 energy=-2.5e-3\nH -0.0 -1. +.5\n",
}
REFUSED = {
    "few columns": "1\nProperties=species:S:1:pos:R:3:forces:R:3\nH 0 0 0 1 1\n",
    "many columns": "1\nProperties=species:S:1:pos:R:3\nH 0 0 0 1 1\n",
    "text": "1\nProperties=species:S:1:pos:R:3\nH 0 x 0\n",
    "count": "-1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n",
    "width": "1\nProperties=species:S:1:pos:R:0\nH 0 0 0\n",
    "lattice": '1\nLattice="1 0 0 0 1 0" Properties=species:S:1:pos:R:3\nH 0 0 0\n',
    "underscore": "1\nProperties=species:S:1:pos:R:3\nH 1_0 0 0\n",
    "nan": "1\nProperties=species:S:1:pos:R:3\nH nan 0 0\n",
    "second frame": "1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"
    "1\nProperties=species:S:1:pos:R:3\nH 0 0\n",
}


def _theirs(path: Path) -> list:  # type: ignore[type-arg]
    found = libatoms.read_dicts(str(path))
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("name", READ)
def test_the_same_numbers_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz"
    path.write_text(READ[name])
    (theirs,), (ours,) = _theirs(path), read_structures(path)[0]
    assert np.array_equal(theirs.arrays["pos"], ours.positions)
    assert list(theirs.arrays["species"]) == [SYMBOLS[z] for z in ours.numbers]
    if theirs.cell is not None:
        assert np.array_equal(theirs.cell.T, ours.cell)  # its vectors are columns
    assert theirs.info.get("energy") == ours.energy


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses_we_refuse(name: str, tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz"
    path.write_text(REFUSED[name])
    with pytest.raises(Exception):  # noqa: B017, PT011 - of many kinds
        _theirs(path)
    with pytest.raises(InputError, match=r"frame \d"):
        read_structures(path)


def test_it_reads_what_we_write(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    structures = []
    for n in (1, 2, 7):
        cell = 5 * np.eye(3) + rng.normal(size=(3, 3))
        structures.append(
            Structure(
                rng.choice([8, 14], n),
                rng.normal(size=(n, 3)),
                cell,
                [True, n > 1, True],
                energy=rng.normal(),
                forces=rng.normal(size=(n, 3)),
                virial=np.eye(3) * n,
                charge=1.0,
                labels={"charges": rng.normal(size=(n, 1))},
                config_type="a b",
            )  # fmt: skip
        )
    path = tmp_path / "ours.extxyz"
    write_structures(path, structures)
    for theirs, ours in zip(_theirs(path), structures, strict=True):
        assert np.array_equal(theirs.arrays["pos"], ours.positions)
        assert np.array_equal(theirs.arrays["REF_forces"], ours.forces)
        assert np.array_equal(theirs.cell.T, ours.cell)  # its vectors are columns
        assert np.array_equal(theirs.pbc, ours.pbc)
        assert theirs.info["REF_energy"] == ours.energy
        assert theirs.info["config_type"] == "a b"
