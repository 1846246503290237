from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyscf import dft, gto
from pyscf.pbc import dft as pbcdft
from pyscf.pbc import gto as pbcgto
from scipy.linalg import eigh

import acepot.hamiltonian.pyscf_data as data
from acepot.errors import ConvergenceError, InputError
from acepot.hamiltonian import pyscf_calculation as calculation
from acepot.hamiltonian.formats.assembly import Reading
from acepot.hamiltonian.formats.pyscf_matrices import from_pyscf, mesh_of
from acepot.hamiltonian.formats.registry import read
from acepot.structure import Structure
from acepot.units import HARTREE

WATER = Structure([8, 1, 1], [[0, 0, 0.1], [0.8, 0.1, -0.5], [-0.7, 0.2, -0.45]], name="water")
CELL = np.array([[3.0, 0.2, 0.1], [0.1, 3.2, -0.2], [-0.3, 0.2, 3.4]])
HYDROGEN = Structure([1, 1], [[0.1, 0.2, 0.0], [3.4, 0.4, 0.7]], CELL, True, name="hydrogen")


def test_a_molecule_has_its_own_levels_and_passes() -> None:
    mol = gto.M(atom=[("O", (0, 0, 0.1)), ("H", (0.8, 0.1, -0.5)), ("H", (-0.7, 0.2, -0.45))],
                basis="cc-pvdz", verbose=0)  # fmt: skip
    field = dft.RKS(mol, xc="lda").run()
    one = from_pyscf(field)
    assert one.residual is not None and one.residual < 1e-14
    snapshot = one.snapshot
    assert snapshot.orbitals.shells == {"H": "ssp", "O": "sssppd"}
    assert snapshot.electrons == 10.0 and snapshot.overlap is not None
    assert np.abs(snapshot.structure.positions[1] - [0.8, 0.1, -0.5]).max() < 1e-8
    h, s = (next(m.at(np.zeros(3))) for m in (snapshot.hamiltonian, snapshot.overlap))
    levels = eigh(h, s, eigvals_only=True)
    theirs = eigh(field.get_fock(), field.get_ovlp(), eigvals_only=True) * HARTREE
    assert np.abs(levels - theirs).max() < 1e-9
    with pytest.raises(InputError, match="with the order of pyscf$"):
        from_pyscf(field, reading=Reading(order="acepot"))
    with pytest.raises(InputError, match="restricted"):
        from_pyscf(dft.UKS(mol, xc="lda").run(max_cycle=1))


def test_a_crystal_has_its_own_levels_on_the_mesh_and_between() -> None:
    cell = pbcgto.Cell()
    cell.build(dump_input=False, parse_arg=False, a=CELL, atom=[("H", r) for r in
               HYDROGEN.positions], basis="gth-dzvp", pseudo="gth-pade", ke_cutoff=30,
               precision=1e-7, verbose=0)  # fmt: skip
    kpts = cell.make_kpts([3, 3, 3])
    field = pbcdft.KRKS(cell, kpts, xc="lda").run(conv_tol=1e-8)
    one = from_pyscf(field)
    assert one.residual is not None and one.residual < 1e-13
    snapshot = one.snapshot
    assert snapshot.orbitals.shells == {"H": "ssp"} and snapshot.overlap is not None
    fractional = cell.get_scaled_kpts(kpts)
    fock, overlap = field.get_fock(), field.get_ovlp()
    for k in (0, 5, 14):
        h = next(snapshot.hamiltonian.at(fractional[k]))
        s = next(snapshot.overlap.at(fractional[k]))
        ours = eigh(h, s, eigvals_only=True)
        theirs = eigh(fock[k], overlap[k], eigvals_only=True) * HARTREE
        assert np.abs(ours - theirs).max() < 1e-3  # blocks below 1e-5 eV are left out
    assert snapshot.hamiltonian.asymmetry() < 1e-9
    with pytest.raises(InputError, match="mesh n1 x n2 x n3"):
        from_pyscf(field, fock[:5], kpts[:5])
    with pytest.raises(InputError, match="expected F"):
        from_pyscf(field, fock[:5])


def test_meshes_are_known_in_any_order() -> None:
    cell = pbcgto.M(a=CELL, atom="He 0 0 0", verbose=0)
    for mesh in ([1, 1, 1], [2, 3, 4], [5, 1, 2]):
        ks = cell.get_scaled_kpts(cell.make_kpts(mesh))
        moved = np.random.default_rng(0).permutation(ks) - 3.0
        assert mesh_of(moved, "x").tolist() == mesh
    with pytest.raises(InputError, match="got 23 others"):
        mesh_of(cell.get_scaled_kpts(cell.make_kpts([2, 3, 4]))[1:], "x")
    with pytest.raises(InputError, match="holds zero"):
        mesh_of(cell.get_scaled_kpts(cell.make_kpts([2, 2, 2])) + 0.1, "x")


def test_the_matrix_mesh_keeps_images_apart() -> None:
    fcc = 2.02 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
    assert calculation.matrix_mesh(Structure([13], [[0, 0, 0]], fcc, True), 11.0) == (8, 8, 8)
    one = Structure([1], [[0, 0, 0]], np.diag([3.0, 5.0, 30.0]), True)
    assert calculation.matrix_mesh(one, 11.0) == (8, 5, 1)


@pytest.mark.slow
def test_levels_between_k_do_not_depend_on_the_mesh_of_the_matrix() -> None:
    method = calculation.Method("gth-szv", "gth-pade", "lda", (2, 2, 2), precision=1e-6, reach=7.0)
    far = calculation.calculate(HYDROGEN, method).snapshot
    again = calculation.calculate(HYDROGEN, replace(method, reach=9.0)).snapshot
    assert far.overlap is not None and again.overlap is not None
    for k in ([0.13, 0.27, -0.41], [0.5, 0.1, 0.3]):
        one, two = (
            eigh(next(s.hamiltonian.at(np.array(k))), next(far.overlap.at(np.array(k))),
                 eigvals_only=True) for s in (far, again)
        )  # fmt: skip
        assert np.abs(one - two).max() < 2e-3
    assert far.fermi is not None and far.electrons == 2.0


def test_made_files_are_taken_up_where_they_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = calculation.Method("sto-3g", None, "lda")
    moved = Structure(WATER.numbers, WATER.positions * 1.02, name="wide")
    given, calls, stop = [WATER, moved], [], ["wide"]
    true = calculation.calculate

    def calculate(structure: Structure, how: calculation.Method) -> object:
        calls.append(structure.name)
        if structure.name in stop:
            raise ConvergenceError(f"{structure.name}: not converged")
        return true(structure, how)

    monkeypatch.setattr(data, "calculate", calculate)
    with pytest.raises(ConvergenceError, match="1 of 2 calculations failed, the first one of wide"):
        data.make(given, tmp_path / "a.npz", method)
    assert not (tmp_path / "a.npz").exists() and calls == ["water", "wide"]
    stop.clear()
    made = data.make(given, tmp_path / "a.npz", method)
    assert calls == ["water", "wide", "wide"]
    assert [one.name for one in made] == ["water", "wide"]
    assert max(float(one.residual or 1.0) for one in made) < 1e-14
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    assert len(read(tmp_path / "a.npz")) == 2


def test_two_processes_make_the_same(tmp_path: Path) -> None:
    method = calculation.Method("sto-3g", None, "lda")
    moved = Structure(WATER.numbers, WATER.positions * 1.02, name="wide")
    data.make([WATER, moved], tmp_path / "a.npz", method)
    data.make([WATER, moved], tmp_path / "b.npz", method, processes=2)
    one, two = read(tmp_path / "a.npz"), read(tmp_path / "b.npz")
    for a, b in zip(one, two, strict=True):
        for pair, blocks in a.snapshot.hamiltonian.pairs.items():
            error = blocks.values - b.snapshot.hamiltonian.pairs[pair].values
            assert np.abs(error).max() < 1e-6


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    for change, said in (({"kmesh": (0, 1, 1)}, "kmesh: expected"), ({"reach": 0.1}, "reach"),
                         ({"smearing": -1.0}, "smearing: expected 0 to 10 eV")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            calculation.Method(**change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="structures: expected at least one"):
        data.make([], tmp_path / "a.npz", calculation.Method())
    slab = Structure([1], [[0, 0, 0]], np.eye(3) * 5, (True, True, False), name="slab")
    with pytest.raises(InputError, match="slab: expected a molecule or a crystal"):
        calculation.calculate(slab, calculation.Method())
    radical = Structure([8, 1], [[0, 0, 0], [0, 0, 1.0]], name="radical")
    with pytest.raises(InputError, match="radical: expected an even number of electrons, got 9"):
        calculation.calculate(radical, calculation.Method("sto-3g", None))
    with pytest.raises(InputError, match="water: PySCF cannot set it up: .*nosuch"):
        calculation.calculate(WATER, calculation.Method("nosuch", None))
