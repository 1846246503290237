"""FHI-aims, ABACUS, CP2K and OpenMX: written here as their sources write, and read back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import Reading
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import Snapshot
from acepot.hamiltonian.two_centre import homes_of
from acepot.orbitals import Orbitals
from acepot.structure import Structure

Same = Callable[..., None]
HARTREE, BOHR = 27.211386245981, 0.529177210544
SYMBOL = {14: "Si", 8: "O"}


def text(rows: np.ndarray) -> list[str]:
    return [" ".join(map(repr, row)) for row in rows.tolist()]


# ------------------------------------------------------------------ FHI-aims


def aims_folder(folder: Path, snapshot: Snapshot, whole: Callable) -> None:
    """Rows in cell R and columns in cell zero, one triangle: column at most row."""
    folder.mkdir()
    one = snapshot.structure
    lines = [f"lattice_vector {row}" for row in text(one.cell)]
    lines += [f"atom {r} {SYMBOL[z]}" for r, z in zip(text(one.positions), one.numbers.tolist(),
                                                      strict=True)]  # fmt: skip
    (folder / "geometry.in").write_text("# comment\n" + "\n".join(lines) + "\n")
    functions, number = ["", "  fn.   type   at.   n   l   m"], 0
    for atom, z in enumerate(one.numbers.tolist()):
        for shell, l in enumerate(snapshot.orbitals.ls(z)):
            for m in range(-l, l + 1):
                number += 1
                functions.append(f"{number} atomic {atom + 1} {shell + 1} {l} {m}")
    (folder / "basis-indices.out").write_text("\n".join(functions) + "\n")
    vectors, h = whole(snapshot.hamiltonian, "aims")
    _, s = whole(snapshot.overlap, "aims")
    size = h.shape[1]
    bounds = np.zeros((2, len(vectors) + 1, size), dtype=int)
    bounds[1] = -1
    columns, values = [], []
    for t in range(len(vectors)):
        for row in range(size):
            there = [c for c in range(row + 1) if h[t, c, row] != 0.0]
            if there:
                bounds[:, t, row] = len(columns) + 1, len(columns) + len(there)
            columns += [c + 1 for c in there]
            values += [(h[t, c, row], s[t, c, row]) for c in there]
    cells = [*vectors.tolist(), [999999999] * 3]
    parts = [
        f"n_hamiltonian_matrix_size: {len(columns) + 1}", f"n_cells_in_hamiltonian: {len(cells)}",
        f"n_basis: {size}", "cell_index", *(" ".join(map(str, c)) for c in cells),
    ]  # fmt: skip
    for n in (0, 1):
        parts += [f"index_hamiltonian({n + 1},:,:)"]
        parts += [" ".join(map(str, row)) for row in bounds[n].tolist()]
    parts += ["column_index_hamiltonian", *map(str, [*columns, 0])]
    (folder / "rs_indices.out").write_text("\n".join(parts) + "\n")
    for name, n, unit in (("rs_hamiltonian", 0, HARTREE), ("rs_overlap", 1, 1.0)):
        (folder / f"{name}.out").write_text(
            "".join(f"{float(v[n]) / unit!r}\n" for v in values) + "0.0\n"
        )
    (folder / "aims.out").write_text("  | Chemical potential (Fermi level) in eV : -.325E+01\n")


def test_fhi_aims_is_read(tmp_path: Path, snapshot: Snapshot, whole: Callable, same: Same) -> None:
    aims_folder(tmp_path / "a", snapshot, whole)
    (one,) = read(tmp_path / "a")
    same(snapshot, one.snapshot, to=1e-13)
    assert one.snapshot.fermi == -3.25
    with pytest.raises(InputError, match="with T of the other sign$"):
        read(tmp_path / "a", Reading(reverse=True))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("rs_indices.out", "n_basis: 24", "n_basis: 25", "expected n_basis: 24, got 25"),
        ("rs_indices.out", "n_cells_in_hamiltonian: ", "n_cells_in_hamiltonian: 1", "expected"),
        ("rs_indices.out", "_hamiltonian\n1\n", "_hamiltonian\n99\n", "expected places"),
        ("geometry.in", "lattice_vector", "lattice", "three lattice vectors or none, got 2"),
        ("geometry.in", " Si", " Xx", "Xx"),
        ("basis-indices.out", " 2 1 -1", " 2 1 -2", "expected m from -1 to 1"),
        ("basis-indices.out", "1 atomic 1 1 0 0\n", "", "expected the same shells|n_basis"),
        ("rs_hamiltonian.out", "0.0\n", "x\n", "expected numbers"),
        ("aims.out", "-.325E+01", "high", "expected a Fermi level"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_fhi_aims_is_named(
    tmp_path: Path, snapshot: Snapshot, whole: Callable, name: str, old: str, new: str, said: str
) -> None:
    aims_folder(tmp_path / "a", snapshot, whole)
    path = tmp_path / "a" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read(tmp_path / "a")


# ------------------------------------------------------------------ ABACUS


def abacus_folder(folder: Path, snapshot: Snapshot, whole: Callable) -> None:
    folder.mkdir()
    one, unit = snapshot.structure, 10.0 * BOHR
    lines = [" READING UNITCELL INFORMATION", " ntype = 2",
             " lattice constant (Bohr) = 10.0"]  # fmt: skip
    for n, (element, letters) in enumerate(snapshot.orbitals.shells.items()):
        lines += [f" READING ATOM TYPE {n + 1}", f" atom label = {element}"]
        lines += [f" L={l}, number of zeta = {letters.count(c)}" for l, c in enumerate("spd")
                  if c in letters]  # fmt: skip
    lines += [" TOTAL ATOM NUMBER = 3", " CARTESIAN COORDINATES ( UNIT = 10 Bohr ).",
              " atom x y z mag"]  # fmt: skip
    lines += [f" tauc_{SYMBOL[z]}{n + 1} {r} 0"
              for n, (z, r) in enumerate(zip(one.numbers.tolist(), text(one.positions / unit),
                                             strict=True))]  # fmt: skip
    lines += ["", " Lattice vectors: (Cartesian coordinate: in unit of a_0)",
              *text(one.cell / unit), " NSPIN == 1", " EFERMI = -3.25 eV"]  # fmt: skip
    (folder / "running_scf.log").write_text("\n".join(lines) + "\n")
    for name, matrix, unit in (("H", snapshot.hamiltonian, HARTREE / 2),
                               ("S", snapshot.overlap, 1.0)):  # fmt: skip
        vectors, values = whole(matrix, "abacus")
        parts = ["STEP: 0", f"Matrix Dimension of {name}(R): {values.shape[1]}",
                 f"Matrix number of {name}(R): {len(vectors)}", "9 9 9 0"]  # fmt: skip
        for vector, full in zip(vectors.tolist(), values, strict=True):
            sparse = csr_array(full / unit)
            parts += [
                f"{vector[0]} {vector[1]} {vector[2]} {sparse.nnz}",
                " ".join(map(repr, sparse.data.tolist())),
                " ".join(map(str, sparse.indices.tolist())),
                " ".join(map(str, sparse.indptr.tolist())),
            ]
        (folder / f"data-{name}R-sparse_SPIN0.csr").write_text("\n".join(parts) + "\n")


def test_abacus_is_read(tmp_path: Path, snapshot: Snapshot, whole: Callable, same: Same) -> None:
    abacus_folder(tmp_path / "a", snapshot, whole)
    (one,) = read(tmp_path / "a")
    same(snapshot, one.snapshot, to=1e-13)
    assert one.snapshot.fermi == -3.25
    with pytest.raises(InputError, match="in the order of sisl.*with the order of abacus$"):
        read(tmp_path / "a", Reading(order="sisl"))


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("running_scf.log", "NSPIN == 1", "NSPIN == 4", "expected NSPIN == 1"),
        ("running_scf.log", "lattice constant (Bohr)", "x", "expected lattice constant"),
        ("running_scf.log", "L=1, number of zeta = 1", "", "orbitals of these atoms, got 24"),
        ("running_scf.log", "label = O", "label = N", "numbers of zeta of O"),
        ("running_scf.log", "tauc_Si1 ", "tauc_Si1 x", "expected the log"),
        ("data-HR-sparse_SPIN0.csr", "Matrix Dimension", "Matrix", "expected Matrix Dimension"),
        ("data-HR-sparse_SPIN0.csr", "9 9 9 0", "9 9 9 4", "expected"),
        ("data-HR-sparse_SPIN0.csr", "9 9 9 0", "9 9 9", "expected R and how many"),
    ],
)
def test_what_is_wrong_with_abacus_is_named(
    tmp_path: Path, snapshot: Snapshot, whole: Callable, name: str, old: str, new: str, said: str
) -> None:
    abacus_folder(tmp_path / "a", snapshot, whole)
    path = tmp_path / "a" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read(tmp_path / "a")


# ------------------------------------------------------------------ CP2K


def cp2k_folder(folder: Path, snapshot: Snapshot, written: Callable, whole: Callable) -> None:
    """T of atoms wrapped into [-1/2, 1/2)."""
    from acepot.hamiltonian.matrices import OrbitalMatrix

    folder.mkdir()
    one = snapshot.structure
    homes = homes_of(one.positions, one.cell, one.pbc, -0.5)
    output = [" CP2K", ""]
    for name, matrix, unit in (("KS", snapshot.hamiltonian, HARTREE), ("S", snapshot.overlap, 1.0)):
        index, blocks = written(matrix, "acepot")
        index[:, 2:] -= homes[index[:, 1]] - homes[index[:, 0]]
        moved = OrbitalMatrix.of(one, snapshot.orbitals, index, blocks)
        vectors, values = whole(moved, "cp2k")
        output += [f" {name} CSR write|   {len(vectors)} periodic images",
                   "      Number    X      Y      Z"]  # fmt: skip
        for n, (vector, full) in enumerate(zip(vectors.tolist(), values, strict=True)):
            output.append(f"  {n + 1} {vector[0]} {vector[1]} {vector[2]}")
            rows, columns = np.nonzero(full)
            lines = [f"{r + 1} {c + 1} {float(full[r, c]) / unit!r}"
                     for r, c in zip(rows.tolist(), columns.tolist(), strict=True)]  # fmt: skip
            (folder / f"x-{name}_SPIN_1_R_{n + 1}-1_0.csr").write_text("\n".join(lines) + "\n")
    (folder / "x.out").write_text("\n".join(output) + "\n")
    lattice = " ".join(" ".join(map(repr, row)) for row in one.cell.tolist())
    atoms = [f"{SYMBOL[z]} {r}"
             for z, r in zip(one.numbers.tolist(), text(one.positions), strict=True)]  # fmt: skip
    (folder / "x.xyz").write_text(f'{len(atoms)}\nLattice="{lattice}"\n' + "\n".join(atoms) + "\n")


def test_cp2k_is_read(
    tmp_path: Path, snapshot: Snapshot, written: Callable, whole: Callable, same: Same
) -> None:
    cp2k_folder(tmp_path / "a", snapshot, written, whole)
    reading = Reading(orbitals=snapshot.orbitals)
    (one,) = read(tmp_path / "a", reading)
    same(snapshot, one.snapshot, to=1e-13)
    with pytest.raises(InputError, match=r"with T of atoms wrapped into \[-1/2, 1/2\)$"):
        read(tmp_path / "a", Reading(orbitals=snapshot.orbitals, wrap="none"))
    with pytest.raises(InputError, match="give them, a letter for each"):
        read(tmp_path / "a")
    with pytest.raises(InputError, match="rows and columns 1 to 19|rows and columns"):
        read(tmp_path / "a", Reading(orbitals=Orbitals({"O": "s", "Si": "sspd"})))
    (tmp_path / "a/x-KS_SPIN_1_R_1-1_0.csr").unlink()
    with pytest.raises(InputError, match="a file for every image, got none for"):
        read(tmp_path / "a", reading)
    (tmp_path / "a/x.out").write_text("nothing")
    with pytest.raises(InputError, match="REAL_SPACE T"):
        read(tmp_path / "a", reading)


def printed(snapshot: Snapshot, whole: Callable) -> str:
    """Four columns at once, as AO_MATRICES has them."""
    names = {0: ("s",), 1: ("py", "pz", "px"), 2: ("d-2", "d-1", "d0", "d+1", "d+2")}
    labels = [
        (atom + 1, SYMBOL[z], f"{shell + 2}{name}")
        for atom, z in enumerate(snapshot.structure.numbers.tolist())
        for shell, l in enumerate(snapshot.orbitals.ls(z))
        for name in names[l]
    ]
    lines = []
    for title, matrix, unit in (("OVERLAP MATRIX", snapshot.overlap, 1.0),
                                ("KOHN-SHAM MATRIX", snapshot.hamiltonian, HARTREE)):  # fmt: skip
        _, (full,) = whole(matrix, "cp2k")
        lines += ["", f" {title}", ""]
        for start in range(0, len(full), 4):
            some = full[:, start : start + 4]
            lines += [" ".join(str(start + n + 1) for n in range(some.shape[1]))]
            lines += [
                f"{n + 1} {a} {e} {o} " + " ".join(f"{v:.14f}" for v in some[n] / unit)
                for n, (a, e, o) in enumerate(labels)
            ]
    return "\n".join(lines) + "\n"


def test_text_of_cp2k_is_read(tmp_path: Path, make: Callable, whole: Callable, same: Same) -> None:
    places = [[0.1, 0.2, 0.3], [1.9, 0.4, 0.7]]
    molecule = make({"O": "sp", "Si": "sspd"}, 2, Structure([14, 8], places))
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "x.Log").write_text(printed(molecule, whole))
    (folder / "x.xyz").write_text("2\n\nSi 0.1 0.2 0.3\nO 1.9 0.4 0.7\n")
    (one,) = read(folder)
    same(molecule, one.snapshot, to=1e-11)
    # In a box the second atom is given elsewhere; its closest image is where it was.
    (folder / "x.xyz").write_text(
        '2\nLattice="20 0 0 3 19 0 0 0 18" pbc="T T T"\nSi 0.1 0.2 0.3\nO 21.9 0.4 -17.3\n'
    )
    (two,) = read(folder)
    assert two.residual is not None and two.residual < 1e-11
    (off,) = (b for b in two.snapshot.hamiltonian.pairs[14, 8].index.tolist())
    assert off == [0, 1, -1, 0, 1]
    text_of = (folder / "x.Log").read_text()
    for old, new, said in (
        ("KOHN-SHAM", "OTHER", "expected a table KOHN-SHAM"),
        ("3px", "3pq x", "expected tables of numbers"),
        (" O ", " O 3 ", "expected every element"),
        ("4pz", "4dz", "whole shells"),
    ):
        (folder / "x.Log").write_text(text_of.replace(old, new, 1 if old != "4pz" else -1))
        with pytest.raises(InputError, match=said):
            read(folder)


# ------------------------------------------------------------------ OpenMX


def scfout(path: Path, snapshot: Snapshot, written: Callable, code: int = 12) -> bytes:
    """Format 3, as OpenMX 3.9 writes it."""
    one, first = snapshot.structure, 1
    index, h = written(snapshot.hamiltonian, "openmx")
    _, s = written(snapshot.overlap, "openmx")
    # Neighbours of each atom, itself first.
    key = (index[:, 0] == index[:, 1]) & ~index[:, 2:].any(axis=1)
    order = np.lexsort([~key, index[:, 0]])
    index = index[order]
    h, s = [h[n] / HARTREE for n in order], [s[n] for n in order]
    vectors = [[0, 0, 0], *(v for v in np.unique(index[:, 2:], axis=0).tolist() if any(v))]
    counts = np.bincount(index[:, 0])
    total = sum(b.size for b in h)
    out = struct.pack("<7i", 3, code, 3, 0, 0, len(vectors) - 1, first)
    atv = np.array(vectors) @ one.cell / BOHR
    out += np.column_stack([np.zeros(len(vectors)), atv]).astype("<f8").tobytes()
    out += np.column_stack([np.zeros(len(vectors)), vectors]).astype("<i4").tobytes()
    out += np.array([snapshot.orbitals.count(z) for z in one.numbers.tolist()], "<i4").tobytes()
    out += (counts - 1).astype("<i4").tobytes()
    out += (index[:, 1] + 1).astype("<i4").tobytes()
    out += np.array([vectors.index(v) for v in index[:, 2:].tolist()], "<i4").tobytes()
    pad = np.zeros((3, 1))
    out += np.hstack([pad, one.cell / BOHR]).astype("<f8").tobytes()
    out += np.zeros((3, 4), "<f8").tobytes()
    out += np.hstack([pad, one.positions / BOHR]).astype("<f8").tobytes()
    for blocks in (h, s):
        out += np.concatenate([b.ravel() for b in blocks]).astype("<f8").tobytes()
    out += np.zeros((3 * first + 3 + 1 + 2) * total, "<f8").tobytes()
    out += struct.pack("<i10d", 4, -3.25 / HARTREE, 300.0, *[0.0] * 6, 12.0, 0.0)
    lines = ["<Definition.of.Atomic.Species", "Si Si7.0-s2p1d1 Si_PBE19", "Ox O6.0-s1p1 O_PBE19",
             "Definition.of.Atomic.Species>", "<Atoms.SpeciesAndCoordinates",
             "1 Si 0 0 0 2 2", "2 Ox 0 0 0 3 3", "3 Si 0 0 0 2 2",
             "Atoms.SpeciesAndCoordinates>"]  # fmt: skip
    out += struct.pack("<i", len(lines))
    out += b"".join((line + "\n").encode().ljust(256, b"\0") for line in lines)
    path.write_bytes(out)
    return out


def test_openmx_is_read(tmp_path: Path, snapshot: Snapshot, written: Callable, same: Same) -> None:
    data = scfout(tmp_path / "a.scfout", snapshot, written)
    (one,) = read(tmp_path / "a.scfout")
    same(snapshot, one.snapshot, to=1e-13)
    assert one.snapshot.electrons == 12.0
    assert abs(float(one.snapshot.fermi or 0.0) + 3.25) < 1e-14
    scfout(tmp_path / "b.scfout", snapshot, written, code=4)
    with pytest.raises(InputError, match="expected format 3 of OpenMX 3.9, got 1"):
        read(tmp_path / "b.scfout")
    scfout(tmp_path / "b.scfout", snapshot, written, code=15)
    with pytest.raises(InputError, match="without spin"):
        read(tmp_path / "b.scfout")
    (tmp_path / "b.scfout").write_bytes(data[:-2300])
    with pytest.raises(InputError, match="Definition.of.Atomic.Species"):
        read(tmp_path / "b.scfout")


def test_damaged_files_of_openmx_never_end_otherwise_than_in_a_message(
    tmp_path: Path, snapshot: Snapshot, written: Callable
) -> None:
    data, rng = scfout(tmp_path / "a.scfout", snapshot, written), np.random.default_rng(0)
    refused = 0
    for n in range(40):
        raw = bytearray(data)
        for _ in range(4):
            raw[rng.integers(2000)] = rng.integers(256)
        (tmp_path / "a.scfout").write_bytes(raw[: len(raw) if n % 4 else rng.integers(len(raw))])
        try:
            read(tmp_path / "a.scfout")
        except InputError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("program", ["aims", "abacus", "cp2k"])
def test_damaged_folders_never_end_otherwise_than_in_a_message(
    tmp_path: Path, make: Callable, written: Callable, whole: Callable, program: str
) -> None:
    pair = Structure([14, 8], [[0.1, 0.2, 0.3], [1.9, 1.8, 1.7]], 4.4 * np.eye(3), True)
    snapshot, folder = make({"O": "s", "Si": "s"}, 1, pair), tmp_path / "a"
    if program == "cp2k":
        cp2k_folder(folder, snapshot, written, whole)
    else:
        {"aims": aims_folder, "abacus": abacus_folder}[program](folder, snapshot, whole)
    files = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    reading, rng, refused = Reading(orbitals=snapshot.orbitals), np.random.default_rng(0), 0
    for n in range(40):
        path = list(files)[rng.integers(len(files))]
        raw = bytearray(files[path])
        for _ in range(1 + n % 3):
            raw[rng.integers(len(raw))] = b"0123456789-.eE xXnaif"[rng.integers(21)]
        path.write_bytes(raw[: len(raw) if n % 7 else rng.integers(len(raw))])
        try:
            read(folder, reading)
        except InputError:
            refused += 1
        path.write_bytes(files[path])
    assert refused > 10


def test_a_matrix_of_zeros_has_no_blocks(tmp_path: Path, snapshot: Snapshot) -> None:
    one = snapshot.structure
    np.savez(tmp_path / "a.npz", H=np.zeros((24, 24)), positions=one.positions,
             species=one.numbers)  # fmt: skip
    with pytest.raises(InputError, match="Hamiltonian: expected i, j and T of at least one block"):
        read(tmp_path / "a.npz", Reading(orbitals=snapshot.orbitals))
