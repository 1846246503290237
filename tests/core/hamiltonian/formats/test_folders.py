"""DeePTB, DeepH, sisl and ACEhamiltonians: written here as their sources say, and read back."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import sisl
from scipy.linalg import eigh

from acepot.errors import InputError
from acepot.hamiltonian.conversion import convert
from acepot.hamiltonian.formats.assembly import Reading
from acepot.hamiltonian.formats.deeph import write_old
from acepot.hamiltonian.formats.deeptb import write_deeptb
from acepot.hamiltonian.formats.own import write_own
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.formats.sisl_matrices import from_sisl, to_sisl
from acepot.hamiltonian.matrices import Snapshot
from acepot.orbitals import Orbitals

Same = Callable[..., None]
HARTREE = 27.211386245981


def test_deeptb_comes_back_exactly_the_same(tmp_path: Path, snapshot: Snapshot, same: Same) -> None:
    other = replace(snapshot, name="second")
    write_deeptb(tmp_path / "a", [snapshot, other])
    found = read(tmp_path / "a")
    assert len(found) == 2
    for one in found:
        same(snapshot, one.snapshot)
    assert (tmp_path / "a/basis.dat").read_text() == "{'O': '1s1p', 'Si': '2s1p1d'}"


def test_deeph_comes_back_exactly_the_same(tmp_path: Path, snapshot: Snapshot, same: Same) -> None:
    write_old(tmp_path / "a", snapshot)
    (one,) = read(tmp_path / "a")
    same(snapshot, one.snapshot)
    assert one.snapshot.fermi == snapshot.fermi
    with h5py.File(tmp_path / "a/hamiltonians.h5") as file:
        assert "[0, 0, 0, 1, 1]" in file
        p = file["[0, 0, 0, 2, 2]"][1:, 1:]  # oxygen: x y z for our y z x
    ours = snapshot.hamiltonian.pairs[8, 8]
    (own,) = ours.values[ours.onsite]
    assert np.array_equal(p, own[1:, 1:][[2, 0, 1]][:, [2, 0, 1]])


def test_silicon_goes_through_every_format_unchanged(
    tmp_path: Path, others: Path, same: Same
) -> None:
    path = others / "Si64_1s1p_hamiltonian_overlap.npz"
    (first,) = read(path, Reading(orbitals=Orbitals({"Si": "sp"})))
    convert([path], tmp_path / "a.npz", Reading(orbitals=Orbitals({"Si": "sp"})))
    same(first.snapshot, read(tmp_path / "a.npz")[0].snapshot)
    made = to_sisl(first.snapshot)
    same(first.snapshot, from_sisl(made).snapshot)
    assert first.snapshot.overlap is not None
    for k in ([0, 0, 0], [0.13, 0.27, 0.41]):
        h, s = (next(m.at(np.array(k))) for m in (first.snapshot.hamiltonian,
                                                  first.snapshot.overlap))  # fmt: skip
        ours = eigh(h, s, eigvals_only=True)
        assert np.abs(made.eigh(k) - ours).max() < 1e-10


def test_the_folder_of_deeptb_is_that_of_its_arrays(others: Path, same: Same) -> None:
    (folder,) = read(others / "deeptb_si64")
    path = others / "Si64_1s1p_hamiltonian_overlap.npz"
    (arrays,) = read(path, Reading(orbitals=Orbitals({"Si": "sp"})))
    assert folder.residual is not None and folder.residual < 1e-6
    same(folder.snapshot, arrays.snapshot)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("positions.dat", "0 0 0\n", "positions.dat: expected 3 lines for each frame, got 1"),
        ("positions.dat", "0 0 nan\n0 0 0\n0 1 0\n", "positions.dat: expected finite"),
        ("cell.dat", "1 2 3\n", "cell.dat: expected three vectors"),
        ("basis.dat", "{'Si': '1s1p', 'O': '1s1p'}", "expected shape"),
        ("basis.dat", "{'Si': '2s1p1d'}", "no shells were given for atomic number 8"),
        ("basis.dat", "nothing", "basis.dat: expected shells such as"),
        ("atomic_numbers.dat", "14 8 Xy", "Xy"),
        ("pbc.dat", "0 0 0", "not periodic"),
        ("hamiltonians.h5", "HDF?", "no HDF5 file"),
        ("overlaps.h5", "", "no HDF5 file"),
    ],
)
def test_what_is_wrong_in_a_folder_is_named(
    tmp_path: Path, snapshot: Snapshot, name: str, text: str, said: str
) -> None:
    write_deeptb(tmp_path / "a", [snapshot])
    (tmp_path / "a" / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read(tmp_path / "a")


def test_blocks_of_other_names_and_atoms_are_refused(tmp_path: Path, snapshot: Snapshot) -> None:
    for key, said in (("0/1_2_3", "expected names of blocks"), ("0/9_0_0_0_0", "got 0 to 9"),
                      ("0/0_0_0_0_7", "expected shape|expected numbers|real")):  # fmt: skip
        write_deeptb(tmp_path / "a", [snapshot])
        with h5py.File(tmp_path / "a/hamiltonians.h5", "a") as file:
            file[key] = np.zeros((5, 5))
        with pytest.raises(InputError, match=said):
            read(tmp_path / "a")


def test_damaged_hdf5_never_ends_otherwise_than_in_a_message(
    tmp_path: Path, snapshot: Snapshot
) -> None:
    write_deeptb(tmp_path / "a", [snapshot])
    path = tmp_path / "a/hamiltonians.h5"
    data, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for n in range(60):
        raw = bytearray(data)
        for _ in range(20):
            raw[rng.integers(len(raw))] = rng.integers(256)
        path.write_bytes(raw[: len(raw) if n % 4 else rng.integers(len(raw))])
        try:
            read(tmp_path / "a")
        except InputError:
            refused += 1
    assert refused > 30


def test_deeptb_and_deeph_refuse_what_they_cannot_hold(
    tmp_path: Path, snapshot: Snapshot, make: Callable[..., Snapshot]
) -> None:
    with pytest.raises(InputError, match="counts shells by l: expected s before p, got ps"):
        write_deeptb(tmp_path, [make({"O": "ps", "Si": "s"})])
    with pytest.raises(InputError, match="in all of them or in none"):
        write_deeptb(tmp_path, [snapshot, replace(snapshot, overlap=None)])
    write_own(tmp_path / "a.npz", [snapshot, snapshot])
    with pytest.raises(InputError, match="holds one snapshot, got 2"):
        convert([tmp_path / "a.npz"], tmp_path / "b.deeph")


# ------------------------------------------------------------------ the new layout of DeepH


def chunked(path: Path, index: np.ndarray, blocks: list[np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        shapes = np.array([one.shape for one in blocks])
        file["atom_pairs"] = index[:, [2, 3, 4, 0, 1]].astype("i4")
        file["chunk_shapes"] = shapes.astype("i4")
        file["chunk_boundaries"] = np.cumsum([0, *shapes.prod(axis=1)]).astype("i4")
        file["entries"] = np.concatenate([one.ravel() for one in blocks])


def new_layout(folder: Path, snapshot: Snapshot, written: Callable) -> None:
    folder.mkdir()
    chunked(folder / "hamiltonian.h5", *written(snapshot.hamiltonian, "acepot"))
    chunked(folder / "overlap.h5", *written(snapshot.overlap, "acepot"))
    info = {"atoms_quantity": 3, "spinful": False, "fermi_energy_eV": -3.25,
            "orthogonal_basis": False,
            "elements_orbital_map": {"Si": [0, 0, 1, 2], "O": [0, 1]}}  # fmt: skip
    (folder / "info.json").write_text(json.dumps(info))
    rows = [" ".join(map(repr, row)) for row in snapshot.structure.cell.tolist()]
    atoms = [" ".join(map(repr, row)) for row in snapshot.structure.positions.tolist()]
    head = ["comment", "1.0", *rows, "Si O Si", "1 1 1", "Cartesian"]
    (folder / "POSCAR").write_text("\n".join([*head, *atoms]) + "\n")


def test_the_new_layout_of_deeph_is_read(
    tmp_path: Path, snapshot: Snapshot, written: Callable, same: Same
) -> None:
    new_layout(tmp_path / "a", snapshot, written)
    (one,) = read(tmp_path / "a")
    same(snapshot, one.snapshot)
    assert one.snapshot.fermi == -3.25


def test_wrong_chunks_are_refused(tmp_path: Path, snapshot: Snapshot, written: Callable) -> None:
    new_layout(tmp_path / "a", snapshot, written)
    with h5py.File(tmp_path / "a/hamiltonian.h5", "a") as file:
        file["chunk_boundaries"][1] += 1
    with pytest.raises(InputError, match="steps of the sizes in chunk_shapes"):
        read(tmp_path / "a")
    with h5py.File(tmp_path / "a/hamiltonian.h5", "a") as file:
        del file["entries"]
        file["entries"] = np.zeros(5)
    with pytest.raises(InputError, match="chunk_boundaries: expected 0 to 5"):
        read(tmp_path / "a")
    (tmp_path / "a/info.json").write_text('{"spinful": true}')
    with pytest.raises(InputError, match="without spin-orbit"):
        read(tmp_path / "a")


# ------------------------------------------------------------------ sisl and ACEhamiltonians


def test_sisl_comes_back_exactly_the_same(snapshot: Snapshot, same: Same) -> None:
    made = to_sisl(snapshot)
    same(snapshot, from_sisl(made).snapshot)
    assert snapshot.overlap is not None
    k = np.array([0.1, -0.3, 0.45])
    h, s = next(snapshot.hamiltonian.at(k)), next(snapshot.overlap.at(k))
    assert np.abs(made.eigh(k) - eigh(h, s, eigvals_only=True)).max() < 1e-10


def test_signs_of_sisl_are_those_of_its_own_orbitals() -> None:
    """ψ of sisl on points, against our harmonics."""
    from acepot.basis.harmonics import real_harmonics
    from acepot.hamiltonian.orders import from_acepot

    r = np.linspace(0.0, 4.0, 200)
    points = np.random.default_rng(0).normal(size=(6, 3))
    for l, name in ((1, "2p"), (2, "3d"), (3, "4f")):
        radial = sisl.SphericalOrbital(l, (r, np.exp(-r) * r**l), R=4.0)
        atoms = radial.toAtomicOrbital(n=l + 1)
        psi = np.stack([one.psi(points) for one in atoms])
        y, _ = real_harmonics(points / np.linalg.norm(points, axis=1)[:, None], l)
        move = from_acepot("sisl", [l])
        ours = move.sign[:, None] * y[:, l * l : (l + 1) ** 2].T[move.place]
        scale = psi / ours
        assert name and np.abs(scale / scale[0] - 1).max() < 1e-6


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sisl's open files
def test_files_of_siesta_are_opened_by_sisl(tmp_path: Path, snapshot: Snapshot) -> None:
    made = to_sisl(snapshot)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.write(tmp_path / "a.TSHS")
    with pytest.raises(InputError, match="does not name the elements: give the .fdf"):
        read(tmp_path / "a.TSHS")
    reading = Reading(orbitals=snapshot.orbitals)
    rows = "\n".join(
        f"{x!r} {y!r} {z!r} {2 if number == 8 else 1}"
        for (x, y, z), number in zip(
            snapshot.structure.positions.tolist(), snapshot.structure.numbers, strict=True
        )
    )
    cell = "\n".join(" ".join(map(repr, row)) for row in snapshot.structure.cell.tolist())
    (tmp_path / "a.fdf").write_text(
        f"SystemLabel a\nNumberOfAtoms 3\nNumberOfSpecies 2\nLatticeConstant 1.0 Ang\n"
        f"%block ChemicalSpeciesLabel\n1 14 Si\n2 8 O\n%endblock\n"
        f"%block LatticeVectors\n{cell}\n%endblock\nAtomicCoordinatesFormat Ang\n"
        f"%block AtomicCoordinatesAndAtomicSpecies\n{rows}\n%endblock\n"
    )
    (one,) = read(tmp_path / "a.fdf", reading)
    assert one.residual is not None and one.residual < 1e-6
    k = np.array([0.1, -0.3, 0.45])
    error = next(one.snapshot.hamiltonian.at(k)) - next(snapshot.hamiltonian.at(k))
    assert np.abs(error).max() < 1e-5
    (tmp_path / "b.HSX").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"b\.HSX: sisl cannot read a Hamiltonian"):
        read(tmp_path / "b.HSX", reading)


def test_a_database_of_acehamiltonians_counts_translations_the_other_way(
    tmp_path: Path, snapshot: Snapshot, whole: Callable, same: Same
) -> None:
    vectors, h = whole(snapshot.hamiltonian, "aims")
    _, s = whole(snapshot.overlap, "aims")
    one = snapshot.structure
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("x/0001", "x/0002"):
            file[f"{name}/Structure/atomic_numbers"] = one.numbers
            file[f"{name}/Structure/positions"] = one.positions
            file[f"{name}/Structure/lattice"] = one.cell
            file[f"{name}/Structure/pbc"] = one.pbc
            file[f"{name}/Info/Basis/14"] = np.array([0, 0, 1, 2])
            file[f"{name}/Info/Basis/8"] = np.array([0, 1])
            file[f"{name}/Info/Translations"] = -vectors
            file[f"{name}/Data/H"] = h / HARTREE
            file[f"{name}/Data/S"] = s
            file[f"{name}/Data/fermi_level"] = -3.25 / HARTREE
    found = read(tmp_path / "a.h5")
    assert len(found) == 2
    same(snapshot, found[1].snapshot, to=1e-13)
    assert abs(float(found[0].snapshot.fermi or 0.0) + 3.25) < 1e-12
    with pytest.raises(InputError, match="with T of the other sign$"):
        read(tmp_path / "a.h5", Reading(reverse=False))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="as ACEhamiltonians writes them"):
        read(tmp_path / "b.h5")
