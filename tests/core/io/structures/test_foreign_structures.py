"""Structures as users of i-PI and LAMMPS have them: the same numbers as their programs read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from acepot import Structure, read_structures
from acepot.errors import InputError

CELL = np.array([[4.2, 0.0, 0.0], [0.5, 4.6, 0.0], [-0.3, 0.4, 5.1]])
POSITIONS = np.array([[0.1, -0.2, 0.3], [2.2, 1.9, 7.4], [-3.0, 1.0, 2.0]])
ROWS = "\n".join(
    f"{s} {x!r} {y!r} {z!r}"
    for s, (x, y, z) in zip(["Si", "O", "O"], POSITIONS.tolist(), strict=True)
)


def _read(tmp_path: Path, comment: str) -> Structure:
    path = tmp_path / "frames.xyz"
    path.write_text(f"3\n{comment}\n{ROWS}\n")
    structures, _ = read_structures(path)
    assert len(structures) == 1
    return structures[0]


def _as_ipi_reads(comment: str) -> tuple[np.ndarray, np.ndarray]:
    """Cell rows and positions in i-PI's own reading, in Bohr."""
    pytest.importorskip("ipi")
    from ipi.utils.io.backends.io_xyz import read_xyz
    from ipi.utils.io.io_units import process_units

    text = io.StringIO(f"3\n{comment}\n{ROWS}\n")
    note, cell, data, names, masses = read_xyz(text)
    got = process_units(note, cell, data, names, masses, len(names))
    return np.array(got["cell"].h).T, np.array(got["atoms"].q).reshape(-1, 3)


@pytest.mark.parametrize("units", ["angstrom", "atomic_unit"])
@pytest.mark.parametrize(
    "cell",
    [
        "CELL(abcABC): 4.2 4.7 5.3 84.0 97.0 81.0",
        "CELL{H}: 4.2 0.5 -0.3 0.0 4.6 0.4 0.0 0.0 5.1",
    ],
)
def test_comments_of_ipi_are_read_as_ipi_reads_them(tmp_path: Path, cell: str, units: str) -> None:
    comment = f"# {cell}  Traj: positions{{{units}}} Step: 3 Bead: 0 cell{{atomic_unit}}"
    rows, positions = _as_ipi_reads(comment)
    got = _read(tmp_path, comment)
    bohr = 1 / 1.8897261
    np.testing.assert_allclose(got.cell, rows * bohr, atol=1e-12)
    np.testing.assert_allclose(got.positions, positions * bohr, atol=1e-12)
    assert got.pbc.all() and got.numbers.tolist() == [14, 8, 8]


def test_a_general_cell_of_ipi_is_not_rotated(tmp_path: Path) -> None:
    rows = CELL @ np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    columns = " ".join(map(repr, rows.T.ravel().tolist()))
    got = _read(tmp_path, f"# CELL[GENH]: {columns} positions{{angstrom}} cell{{angstrom}}")
    np.testing.assert_allclose(got.cell, rows)
    np.testing.assert_array_equal(got.positions, POSITIONS)


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# CELL(abcABC): 4 4 4 90 90 90", "expected i-PI's units"),
        ("# CELL(abcABC): 4 4 4 90 90 90 positions{angstrom}", "expected i-PI's units"),
        ("# CELL(H): 4 4 4 cell{angstrom} positions{angstrom}", "expected 9 numbers"),
        ("# CELL(abcABC): 4 4 4 10 10 170 cell{angstrom} positions{angstrom}", "three angles"),
        ("# CELL(abcABC): 4 4 4 90 90 90 cell{parsec} positions{angstrom}", "got 'parsec'"),
        ("# CELL(abcABC): 4 4 4 90 90 90 cell{angstrom} velocities{m_s}", "got i-PI's velocities"),
    ],
)
def test_doubtful_comments_of_ipi_are_refused(tmp_path: Path, comment: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, comment)


def test_data_files_of_lammps_are_read(tmp_path: Path) -> None:
    ase = pytest.importorskip("ase")
    from ase_ace import to_atoms

    path = tmp_path / "data.quartz"
    path.write_text(
        "a title\n\n3 atoms\n2 atom types\n0.0 4.2 xlo xhi\n0.0 4.6 ylo yhi\n0.0 5.1 zlo zhi\n"
        "0.5 -0.3 0.4 xy xz yz\n\nMasses\n\n1 15.999\n2 28.085\n\nAtoms # atomic\n\n"
        "1 2 0.1 0.2 0.3\n2 1 2.2 1.9 2.4\n3 1 1.0 1.0 2.0\n"
    )
    (structure,), _ = read_structures(path)
    np.testing.assert_allclose(structure.cell, CELL)
    assert structure.numbers.tolist() == [14, 8, 8] and structure.pbc.all()
    atoms = to_atoms(structure)
    assert isinstance(atoms, ase.Atoms)
    np.testing.assert_array_equal(atoms.positions, structure.positions)
    np.testing.assert_array_equal(atoms.cell.array, structure.cell)
