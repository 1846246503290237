from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.hamiltonian.conversion import check, convert
from acepot.hamiltonian.formats.arrays import read_arrays
from acepot.hamiltonian.formats.assembly import AS_IS, Reading
from acepot.hamiltonian.formats.own import read_own, write_own
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import Snapshot
from acepot.orbitals import Orbitals
from acepot.structure import Structure


def test_many_snapshots_come_back_exactly_the_same(
    tmp_path: Path, snapshot: Snapshot, make: Callable[..., Snapshot], same: Callable[..., None]
) -> None:
    molecule = make({"O": "sp"}, 4, Structure([8, 8], [[0, 0, 0], [0.3, 0.4, 1.1]]))
    fitted = replace(snapshot, known=np.array([True, False, True]), electrons=None, fermi=None)
    path = tmp_path / "three.npz"
    write_own(path, [snapshot, molecule, fitted])
    found = [one.snapshot for one in read(path)]
    for given, got in zip([snapshot, molecule, fitted], found, strict=True):
        same(given, got)
        assert (got.electrons, got.fermi) == (given.electrons, given.fermi)
        assert np.array_equal(got.fitted, given.fitted)
        assert np.array_equal(got.structure.pbc, given.structure.pbc)
    assert found[0].known is None
    write_own(tmp_path / "again.npz", found)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_without_an_overlap_matrix_orbitals_are_orthonormal(
    tmp_path: Path, snapshot: Snapshot
) -> None:
    write_own(tmp_path / "a.npz", [replace(snapshot, overlap=None)])
    (one,) = read(tmp_path / "a.npz")
    assert one.residual is None and one.snapshot.overlap is None
    assert "  S: none, the orbitals are orthonormal" in check([tmp_path / "a.npz"])


def test_single_precision_halves_the_file_and_passes(
    tmp_path: Path, snapshot: Snapshot, same: Callable[..., None]
) -> None:
    lines = []
    write_own(tmp_path / "a.npz", [snapshot])
    lines += convert([tmp_path / "a.npz"], tmp_path / "b.npz", single=True)
    (one,) = read(tmp_path / "b.npz")
    assert one.residual is not None and 1e-12 < one.residual < 1e-6
    assert lines[-1] == f"1 snapshots written to {tmp_path / 'b.npz'}"
    largest = np.abs(snapshot.hamiltonian.pairs[14, 14].values).max()
    same(snapshot, one.snapshot, to=1e-7 * largest)


def arrays_of(tmp_path: Path, snapshot: Snapshot) -> dict[str, np.ndarray]:
    write_own(tmp_path / "a.npz", [snapshot])
    return read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("version", lambda a: a + 1, "version 1, got 2 of a later acepot"),
        ("hamiltonian_values", lambda a: a[:-1], "hamiltonian_values: expected"),
        ("hamiltonian_values", lambda a: np.append(a, 1.0), "hamiltonian_values: expected"),
        ("hamiltonian_values", lambda a: a * np.nan, "expected finite numbers"),
        ("hamiltonian_values", lambda a: np.arange(len(a), dtype=float), "expected H_ij"),
        ("overlap_values", lambda a: np.sign(a), "does not fit the structure"),
        ("overlap_index", lambda a: a[:, ::-1], "expected atoms 0 to 2"),
        ("hamiltonian_index", lambda a: np.repeat(a[:1], len(a), 0), "hamiltonian_values|twice"),
        ("positions", lambda a: a[:, ::-1], "does not fit the structure"),
        ("positions", lambda a: a[:2], r"positions: expected shape \(3, 3\)"),
        ("cell", lambda a: 0 * a, "span no volume"),
        ("numbers", lambda a: a.astype(float), "numbers: expected .* of kind iu"),
        ("numbers", lambda a: a + 3, "no shells are given for Cl"),
        ("shells", lambda a: np.array(["sp", "x"]), "orbitals.Si"),
        ("atoms", lambda a: a - 5, "expected counts"),
        ("pbc", lambda a: ~a, "not periodic"),
        ("fermi", lambda a: a + np.inf, "fermi: expected a finite number"),
        ("elements", None, "expected an array elements"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, snapshot: Snapshot, key: str, change: Callable | None, said: str
) -> None:
    arrays = arrays_of(tmp_path, snapshot)
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(InputError, match=said):
        read(tmp_path / "b.npz")


def test_objects_bombs_and_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", format=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="where numbers or text are expected"):
        read(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(200_000_000))
    with pytest.raises(InputError, match="expected at most"):
        read(tmp_path / "b.npz")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    )
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("a.npy", head.getvalue())
    with pytest.raises(InputError, match=r"shape \(1099511627776,\) in 0 bytes"):
        read(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="or H and positions, got x"):
        read(tmp_path / "d.npz")
    (tmp_path / "e.txt").write_text("no matrix")
    with pytest.raises(InputError, match="e.txt: expected acepot's .npz, folders of"):
        read(tmp_path / "e.txt")
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "f.npz")
    with pytest.raises(InputError, match="this folder holds a.npz"):
        read(tmp_path)


def test_damaged_bytes_never_end_otherwise_than_in_a_message(
    tmp_path: Path, make: Callable[..., Snapshot]
) -> None:
    molecule = make({"O": "sp"}, 4, Structure([8, 8], [[0, 0, 0], [0.3, 0.4, 1.1]]))
    write_own(tmp_path / "a.npz", [molecule])
    data = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for n in range(400):
        raw = bytearray(data)
        for _ in range(1 + n % 3):
            raw[rng.integers(len(raw))] = rng.integers(256)
        (tmp_path / "b.npz").write_bytes(raw[: len(raw) if n % 5 else rng.integers(len(raw))])
        try:
            read(tmp_path / "b.npz")
        except InputError:
            refused += 1
    assert refused > 200


def test_only_one_set_of_shells_fits_into_a_file(
    tmp_path: Path, snapshot: Snapshot, make: Callable[..., Snapshot]
) -> None:
    other = make({"O": "s", "Si": "sspd"})
    with pytest.raises(InputError, match="expected one set of shells for O, got sp and s"):
        write_own(tmp_path / "a.npz", [snapshot, other])
    with pytest.raises(InputError, match="at least one"):
        write_own(tmp_path / "a.npz", [])
    with pytest.raises(InputError, match="at least one file"):
        check([])
    write_own(tmp_path / "a.npz", [snapshot])
    with pytest.raises(InputError, match="ends in .npz, .deeptb or .deeph"):
        convert([tmp_path / "a.npz"], tmp_path / "b.txt")


def test_what_is_in_a_file_is_said(tmp_path: Path, snapshot: Snapshot) -> None:
    write_own(tmp_path / "a.npz", [snapshot])
    text = "\n".join(check([tmp_path / "a.npz"]))
    assert "3 atoms, 24 orbitals" in text and "shells: O sp, Si sspd" in text
    assert "Fermi level: -3.2500 eV" in text and "electrons in the cell: 12" in text
    with pytest.raises(InputError, match="with the order of acepot$"):
        check([tmp_path / "a.npz"], Reading(order="pyscf"))
    with pytest.raises(InputError, match="wrap: expected none, unit or centred"):
        Reading(wrap="all")  # type: ignore[arg-type]


def test_reading_takes_only_shells_of_elements_that_are_there(
    tmp_path: Path, snapshot: Snapshot, make: Callable[..., Snapshot]
) -> None:
    oxygen = make({"O": "sp"}, 4, Structure([8, 8], [[0, 0, 0], [0.3, 0.4, 1.1]]))
    write_own(tmp_path / "a.npz", [snapshot, oxygen])
    found = read_own(read_arrays(tmp_path / "a.npz"), "a", AS_IS)
    assert found[1].snapshot.orbitals == Orbitals({"O": "sp"})
