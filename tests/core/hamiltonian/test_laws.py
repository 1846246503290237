"""The laws of matrices in atomic orbitals: they turn with the atoms, are hermitian, and local."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import acepot
from acepot.basis.irrep import Irrep
from acepot.basis.spec import BasisSpec
from acepot.evaluate.blocks import irreducible
from acepot.hamiltonian.band_energy import BandEnergyEvaluator
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.matrices import OrbitalMatrix
from acepot.hamiltonian.settings import HamiltonianSettings
from acepot.orbitals import Filling
from acepot.structure import Structure

SHELLS = {"O": "spf", "Si": "sspd"}


def turned(structure: Structure, q: np.ndarray) -> Structure:
    return replace(structure, positions=structure.positions @ q.T, cell=structure.cell @ q.T)


def by_place(matrix: OrbitalMatrix) -> dict[tuple[int, ...], np.ndarray]:
    found = {}
    for one in matrix.pairs.values():
        found |= {tuple(p): v for p, v in zip(one.index.tolist(), one.values, strict=True)}
    return found


@pytest.fixture(scope="module")
def evaluator(hamiltonian_model):
    return HamiltonianEvaluator(hamiltonian_model(SHELLS, 1, members=2), threads=1)


@pytest.mark.parametrize("name", ["triclinic", "tiny cell", "slab", "molecule"])
def test_matrices_are_hermitian_exactly(evaluator, structures_of, name):
    found = evaluator.matrices(structures_of((8, 14))[name])
    assert len(found.hamiltonian) == 2 and found.overlap is not None
    for matrix in (*found.hamiltonian, found.overlap):
        assert matrix.asymmetry() == 0.0
        for k, h in zip(ks := np.array([[0.13, 0.27, -0.41]]), matrix.at(ks), strict=True):
            assert np.abs(h - h.conj().T).max() < 1e-13
            np.testing.assert_allclose(h, matrix.sparse(k).toarray(), atol=1e-13)
            (minus,) = matrix.at(-ks)
            np.testing.assert_allclose(minus, h.conj(), atol=1e-13)


@pytest.mark.parametrize("proper", [True, False])
def test_blocks_turn_with_both_shells(evaluator, structures_of, rotation, wigner, proper):
    """H(Q R) = D(Q) H(R) D(Q)ᵀ for s, p, d and f shells, reflections included."""
    rng = np.random.default_rng(2)
    orbitals = evaluator.model.orbitals

    def whole(q: np.ndarray, number: int) -> np.ndarray:
        d = np.zeros((orbitals.count(number),) * 2)
        for place, l in zip(orbitals.slices(number), orbitals.ls(number), strict=True):  # noqa: E741
            d[place, place] = wigner(q if proper else -q, l) * (-1) ** (l * (not proper))
        return d

    for name in ("triclinic", "molecule"):
        structure, q = structures_of((8, 14))[name], rotation(rng, proper)
        before, after = (evaluator.matrices(s) for s in (structure, turned(structure, q)))
        for one, other in zip(
            (*before.hamiltonian, before.overlap), (*after.hamiltonian, after.overlap), strict=True
        ):
            for (a, b), blocks in one.pairs.items():
                expected = whole(q, a) @ blocks.values @ whole(q, b).T
                np.testing.assert_array_equal(blocks.index, other.pairs[a, b].index)
                error = np.abs(other.pairs[a, b].values - expected).max()
                assert error < 1e-10 * np.abs(expected).max(), f"{name} {a}-{b}: {error:.1e}"


def test_axial_parts_are_there(evaluator, structures_of):
    """A basis of parity (-1)^L alone has none: p–p blocks would be symmetric in m1, m2."""
    structure = structures_of((8, 14))["triclinic"]
    found = evaluator.matrices(structure).hamiltonian[0].pairs[8, 8]
    away = found.values[~found.onsite]
    axial = irreducible(away[:, 1:4, 1:4], 1, 1, 1)
    assert np.abs(axial).max() > 1e-2


def test_natural_parity_alone_fails(hamiltonian_model, structures_of, rotation, wigner):
    """Without sites of other parities the axial part of a p–p block cannot be."""
    natural = HamiltonianSettings(
        onsite=BasisSpec(order=1, degree=4.0, wl=1.0, cutoff=3.9),
        hopping=BasisSpec(order=1, degree=1.0, wl=1.0, max_n=1, max_l=0, cutoff=3.6),
    )
    model = hamiltonian_model({"Si": "p"}, 3, settings=natural)
    assert Irrep(1, 1) in model.orbitals.bond_parts()
    assert Irrep(1, 1) not in model.hopping.irreps
    structure = Structure([14, 14, 14], [[0, 0, 0], [2.2, 0.3, 0.1], [0.7, 1.9, -1.1]])
    found = HamiltonianEvaluator(model, threads=1).matrices(structure).hamiltonian[0].pairs[14, 14]
    assert not irreducible(found.values, 1, 1, 1).any()


def test_order_and_place_of_atoms_do_not_matter(evaluator, structures_of):
    """Permuted, moved and unwrapped atoms: the same blocks, with other i, j and T."""
    structure = structures_of((8, 14))["triclinic"]
    rng = np.random.default_rng(5)
    order = rng.permutation(len(structure))
    wraps = rng.integers(-2, 3, (len(structure), 3))
    moved = Structure(
        structure.numbers[order],
        (structure.positions + wraps @ structure.cell + [0.3, -4.0, 11.0])[order],
        structure.cell,
        structure.pbc,
    )
    before, after = (evaluator.matrices(s) for s in (structure, moved))
    for one, other in zip(
        (*before.hamiltonian, before.overlap), (*after.hamiltonian, after.overlap), strict=True
    ):
        given, found = by_place(one), by_place(other)
        assert len(given) == len(found)
        for (i, j, *t), values in found.items():
            a, b = order[i], order[j]
            # d = r_j - r_i + T cell, and r moved by `wraps`.
            there = tuple(np.array(t) + wraps[b] - wraps[a])
            np.testing.assert_allclose(values, given[a, b, *there], atol=1e-12)


def test_blocks_do_not_know_what_is_far(evaluator):
    rng = np.random.default_rng(6)
    near = rng.uniform(0, 1, (5, 3)) * 2.5 + np.arange(5)[:, None] * [1.5, 0, 0]
    far = near + [60.0, 0, 0]
    numbers = [8, 14, 14, 8, 14]
    alone = by_place(evaluator.matrices(Structure(numbers, near)).hamiltonian[0])
    both = by_place(
        evaluator.matrices(Structure(numbers * 2, np.concatenate([near, far]))).hamiltonian[0]
    )
    assert len(both) == 2 * len(alone)
    for place, values in alone.items():
        np.testing.assert_allclose(both[place], values, atol=1e-13)


def test_cells_and_supercells_have_the_same_levels(evaluator, structures_of):
    """H(k) of a doubled cell holds the levels of the cell at two k."""
    from acepot.hamiltonian.spectrum import Mesh, levels

    structure = structures_of((8, 14))["triclinic"]
    double = Structure(
        np.tile(structure.numbers, 2),
        np.concatenate([structure.positions, structure.positions + structure.cell[0]]),
        structure.cell * np.array([2, 1, 1])[:, None],
        True,
    )
    k = np.array([0.24, 0.1, -0.3])
    points = Mesh(np.array([k * [0.5, 1, 1], k * [0.5, 1, 1] + [0.5, 0, 0]]), np.ones(2) / 2)
    one = evaluator.matrices(structure)
    other = evaluator.matrices(double)
    small = np.sort(levels(one.hamiltonian[0], one.overlap, points).energies.ravel())
    large = levels(other.hamiltonian[0], other.overlap, Mesh(k[None], np.ones(1))).energies[0]
    np.testing.assert_allclose(large, small, atol=1e-11)


def test_derivatives_along_a_motion(evaluator, structures_of):
    structure = structures_of((8, 14))["triclinic"]
    rng = np.random.default_rng(7)
    u, strain = rng.normal(size=(len(structure), 3)), rng.normal(size=(3, 3)) / 3
    slope = evaluator.jvp(structure, u, strain)

    def at(h: float) -> dict[str, dict]:
        change = np.eye(3) + h * strain
        moved = replace(
            structure,
            positions=structure.positions @ change + h * u,
            cell=structure.cell @ change,
        )
        found = evaluator.matrices(moved)
        return {"H": by_place(found.hamiltonian[0]), "S": by_place(found.overlap)}

    h = 1e-3
    steps = {n: at(n * h) for n in (-3, -2, -1, 1, 2, 3)}
    for name, matrix in (("H", slope.hamiltonian[0]), ("S", slope.overlap)):
        largest = max(np.abs(v).max() for v in by_place(matrix).values())
        for place, found in by_place(matrix).items():
            d1, d2, d3 = (steps[n][name][place] - steps[-n][name][place] for n in (1, 2, 3))
            expected = (45 * d1 - 9 * d2 + d3) / (60 * h)
            assert np.abs(found - expected).max() < 1e-8 * largest


@pytest.mark.parametrize("temperature", [300.0, 20000.0])
def test_forces_of_electrons_are_exact(hamiltonian_model, structures_of, temperature):
    """-dA/dr and -dA/dε of the free energy, with few and with many partly filled levels."""
    model = hamiltonian_model({"O": "sp", "Si": "spd"}, 9)
    structure = structures_of((8, 14))["triclinic"]
    evaluator = BandEnergyEvaluator(model, Filling((2, 1, 2), temperature=temperature), threads=1)
    found = evaluator.evaluate(structure)
    rng = np.random.default_rng(8)
    electrons = 4.0 * len(structure)
    assert found.populations.sum() == pytest.approx(electrons, abs=1e-9)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0, atol=1e-10)
    for _ in range(2):
        u, strain = rng.normal(size=(len(structure), 3)), rng.normal(size=(3, 3)) / 3

        def energy(h: float, u: np.ndarray = u, strain: np.ndarray = strain) -> float:
            change = np.eye(3) + h * strain
            moved = replace(
                structure,
                positions=structure.positions @ change + h * u,
                cell=structure.cell @ change,
            )
            return evaluator.evaluate(moved).electrons.free_energy

        h = 4e-4
        d1, d2, d3 = (energy(n * h) - energy(-n * h) for n in (1, 2, 3))
        slope = (45 * d1 - 9 * d2 + d3) / (60 * h)
        expected = -(found.forces * u).sum() - (found.virials.sum(axis=0) * strain).sum()
        assert slope == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_models_are_kept_in_files(hamiltonian_model, structures_of, tmp_path):
    model = hamiltonian_model(SHELLS, 11, members=3)
    path = tmp_path / "h.acepot"
    acepot.save(model, path)
    again = acepot.load(path, acepot.HamiltonianModel)
    acepot.save(again, tmp_path / "again.acepot")
    assert path.read_bytes() == (tmp_path / "again.acepot").read_bytes()
    structure = structures_of((8, 14))["slab"]
    before = HamiltonianEvaluator(model, threads=1).matrices(structure)
    after = HamiltonianEvaluator(again, threads=1).matrices(structure)
    for one, other in zip(before.hamiltonian, after.hamiltonian, strict=True):
        for pair in one.pairs:
            np.testing.assert_array_equal(one.pairs[pair].values, other.pairs[pair].values)
    assert dict(again.electrons) == dict(model.electrons)
