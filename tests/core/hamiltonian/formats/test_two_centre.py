from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.hamiltonian.formats.assembly import Found, Matrix, Reading, finished
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.hamiltonian.orders import PROGRAMS
from acepot.hamiltonian.two_centre import LIMIT, best_cure, homes_of, residual
from acepot.orbitals import Orbitals
from acepot.structure import Structure


def test_two_centre_integrals_pass_and_other_matrices_do_not(snapshot: Snapshot) -> None:
    assert snapshot.overlap is not None
    assert residual(snapshot.overlap) < 1e-15
    assert residual(snapshot.hamiltonian) > 0.1


def test_shells_up_to_f_pass(make: Callable[..., Snapshot]) -> None:
    overlap = make({"O": "sf", "Si": "spdf"}, 1).overlap
    assert overlap is not None
    assert residual(overlap) < 1e-15


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p not in ("deeptb", "cp2k")])
def test_every_order_is_told_from_ours(
    program: str, snapshot: Snapshot, written: Callable[..., tuple[np.ndarray, list]]
) -> None:
    assert snapshot.overlap is not None
    index, blocks = written(snapshot.overlap, program)
    one = Matrix(index, blocks)
    found = finished(Found(snapshot.structure, snapshot.orbitals, one, one, Reading(order=program)))
    assert found.residual is not None and found.residual < 1e-15
    if program != "acepot":
        said = {"deeph": "openmx", "deeph-siesta": "openmx"}.get(program, program)
        with pytest.raises(InputError, match=rf"in the order of acepot.*with the order of {said}$"):
            finished(Found(snapshot.structure, snapshot.orbitals, one, one, Reading()))


def wrong(snapshot: Snapshot, index: np.ndarray, structure: Structure) -> OrbitalMatrix:
    """The same blocks of S elsewhere."""
    assert snapshot.overlap is not None
    blocks = [b for one in snapshot.overlap.pairs.values() for b in one.values]
    return OrbitalMatrix.of(structure, snapshot.orbitals, index, blocks)


def index_of(snapshot: Snapshot) -> np.ndarray:
    assert snapshot.overlap is not None
    return np.concatenate([one.index for one in snapshot.overlap.pairs.values()])


def test_the_sign_of_lattice_vectors_is_found(snapshot: Snapshot) -> None:
    index = index_of(snapshot)
    index[:, 2:] *= -1
    matrix = wrong(snapshot, index, snapshot.structure)
    assert residual(matrix) > 10 * LIMIT
    words, after = best_cure(matrix, "acepot")
    assert words == "T of the other sign" and after < 1e-14


@pytest.mark.parametrize(("lowest", "said"), [(0.0, r"[0, 1)"), (-0.5, "[-1/2, 1/2)")])
def test_atoms_that_were_wrapped_are_found(snapshot: Snapshot, lowest: float, said: str) -> None:
    structure, index = snapshot.structure, index_of(snapshot)
    homes = homes_of(structure.positions, structure.cell, structure.pbc, lowest)
    index[:, 2:] -= homes[index[:, 1]] - homes[index[:, 0]]
    matrix = wrong(snapshot, index, structure)
    assert residual(matrix) > 10 * LIMIT
    assert best_cure(matrix, "acepot")[0] == f"T of atoms wrapped into {said}"


def test_a_transposed_cell_and_bohr_are_found(snapshot: Snapshot) -> None:
    one = snapshot.structure
    for places, cell, said in (
        (one.positions, one.cell.T, "the cell's vectors as columns"),
        (one.positions / 0.529177210544, one.cell, "positions in Bohr"),
        (one.positions, one.cell / 0.529177210544, "the cell in Bohr"),
    ):
        structure = Structure(one.numbers, places, cell, True)
        matrix = wrong(snapshot, index_of(snapshot), structure)
        assert residual(matrix) > 10 * LIMIT
        assert best_cure(matrix, "acepot")[0] == said


def test_wrapped_atoms_are_in_the_cell() -> None:
    rng = np.random.default_rng(3)
    cell, places = rng.normal(size=(3, 3)) + 4 * np.eye(3), 20 * rng.normal(size=(30, 3))
    pbc = np.array([True, False, True])
    for lowest in (0.0, -0.5):
        homes = homes_of(places, cell, pbc, lowest)
        assert (homes[:, 1] == 0).all()
        inside = (places + homes @ cell) @ np.linalg.pinv(np.where(pbc[:, None], cell, 0))
        assert (inside[:, pbc] >= lowest - 1e-12).all() and (inside[:, pbc] < lowest + 1).all()


# ------------------------------------------------------------------ matrices of real programs


def test_silicon_of_deeptb(others: Path) -> None:
    reading = Reading(orbitals=Orbitals({"Si": "sp"}))
    path = others / "Si64_1s1p_hamiltonian_overlap.npz"
    (one,) = read(path, reading)
    assert one.residual is not None and one.residual < 1e-6
    for order in ("pyscf", "sisl"):
        with pytest.raises(InputError, match="with the order of acepot$"):
            read(path, Reading(order=order, orbitals=reading.orbitals))
    with pytest.raises(InputError, match="with T of the other sign$"):
        read(path, Reading(reverse=True, orbitals=reading.orbitals))
    with pytest.raises(InputError, match="with T of atoms as they stand$"):
        read(path, Reading(wrap="centred", orbitals=reading.orbitals))


def test_every_frame_of_carbon_from_cp2k(others: Path) -> None:
    orbitals = Orbitals({"C": "ssp"})
    path = others / "C2_sto3g_train.npz"
    found = read(path, Reading(orbitals=orbitals))
    assert len(found) == 26
    assert max(float(one.residual or 1.0) for one in found) < 1e-13
    with pytest.raises(InputError, match=r"with T of atoms wrapped into \[-1/2, 1/2\)$"):
        read(path, Reading(wrap="none", orbitals=orbitals))
    with pytest.raises(InputError, match="does not name the shells"):
        read(path)


@pytest.mark.parametrize("name", ["Al3_2", "Al3_3"])
def test_clusters_of_fhi_aims(others: Path, name: str) -> None:
    orbitals = Orbitals({"Al": "sssppd"})
    (one,) = read(others / f"{name}.npz", Reading(orbitals=orbitals))
    assert one.residual is not None and one.residual < 1e-6
    with pytest.raises(InputError, match="with the order of aims$"):
        read(others / f"{name}.npz", Reading(order="acepot", orbitals=orbitals))
    with pytest.raises(InputError, match="are these the shells"):
        read(others / f"{name}.npz", Reading(orbitals=Orbitals({"Al": "sssdpp"})))
