"""Fits of Hamiltonians: what a model can express is recovered, and carries to other cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.fitting.solvers import Ridge
from acepot.hamiltonian.accuracy import block_errors, in_window, level_errors
from acepot.hamiltonian.band_energy import electrons_of
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.families import matched
from acepot.hamiltonian.fit import fit_hamiltonian
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.hamiltonian.settings import HamiltonianSettings
from acepot.hamiltonian.spectrum import mesh
from acepot.orbitals import Orbitals
from acepot.structure import Structure
from acepot.uncertainty.conformal import widths

SHELLS = {"O": "sp", "Si": "spd"}


def cells(count: int, seed: int, atoms: int = 6) -> list[Structure]:
    """Triclinic cells of O and Si, atoms at least 1.5 Å apart."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        cell = np.diag(rng.uniform(4.2, 5.0, 3)) + rng.normal(0, 0.35, (3, 3))
        places: list[np.ndarray] = []
        for _ in range(2000):
            new = rng.uniform(size=3)
            away = [np.linalg.norm((new - p - np.round(new - p)) @ cell) for p in places]
            if all(r > 1.5 for r in away):
                places.append(new)
            if len(places) == atoms:
                numbers = rng.permutation([8, 14] * (atoms // 2))
                found.append(Structure(numbers, np.array(places) @ cell, cell, True))
                break
    return found


@pytest.fixture(scope="module")
def truth(hamiltonian_model, lean):
    return hamiltonian_model(SHELLS, 21, settings=lean)


def snapshots_of(model, structures: list[Structure]) -> list[Snapshot]:
    evaluator, found = HamiltonianEvaluator(model, threads=1), []
    for one in structures:
        made = evaluator.matrices(one)
        found.append(Snapshot(made.hamiltonian[0], made.overlap, electrons_of(model, one)))
    return found


def settings_of(model, **further) -> HamiltonianSettings:
    """The functions of a model, as a user would write them."""
    plain = {"irreps": (), "constant": False}
    return HamiltonianSettings(
        onsite=replace(model.onsite.basis, **plain),
        hopping=replace(model.hopping.basis, constant=False),
        bonds=model.hopping.bonds,
        overlap=model.overlap.bonds,
        **further,
    )


def test_a_hamiltonian_in_the_span_is_recovered(truth):
    """Three-centre terms included, to 1e-8, in a larger cell that was not fitted."""
    exact = settings_of(
        truth, onsite_solver=Ridge(damping=1e-9), hopping_solver=Ridge(damping=1e-9)
    )
    given = snapshots_of(truth, [*cells(12, 1), *cells(1, 4, atoms=8)])
    fitted = fit_hamiltonian(given, exact)
    assert fitted.model.electrons == {}  # cells of one composition do not tell
    alone = replace(given[0].structure, numbers=np.full(6, 14))
    fitted = fit_hamiltonian([*given, *snapshots_of(truth, [alone])], exact)
    assert fitted.model.electrons == {"O": 4.0, "Si": 4.0}
    (other,) = snapshots_of(truth, cells(1, 2, atoms=8))
    found = HamiltonianEvaluator(fitted.model, threads=1).matrices(other.structure)
    for given, made in ((other.hamiltonian, found.hamiltonian[0]), (other.overlap, found.overlap)):
        largest = max(np.abs(one.values).max() for one in given.pairs.values())
        for pair, one in given.pairs.items():
            np.testing.assert_array_equal(one.index, made.pairs[pair].index)
            assert np.abs(one.values - made.pairs[pair].values).max() < 1e-8 * largest


def test_slater_and_koster_are_recovered():
    """Two-centre terms ssσ, spσ, ppσ, ppπ of a distance, by their textbook formulas."""
    rng = np.random.default_rng(3)
    orbitals = Orbitals({"Si": "sp"})

    def matrix(structure: Structure) -> OrbitalMatrix:
        from acepot.neighbours import build

        edges = build(structure, 4.0)
        index = [[i, i, 0, 0, 0] for i in range(len(structure))]
        blocks = [np.diag([-5.0, 1.2, 1.2, 1.2])] * len(structure)
        for i, j, d, t in zip(
            edges.centre, edges.neighbour, edges.vector, edges.shift, strict=True
        ):
            r = np.linalg.norm(d)
            cut = (1 - (r / 4.0) ** 2) ** 3
            sss, sps, pps, ppp = -1.9 * cut, 1.7 * cut * r / 2.3, 3.2 * cut, -0.9 * cut * r
            n = (d / r)[[1, 2, 0]]  # y z x
            block = np.zeros((4, 4))
            block[0, 0] = sss
            block[0, 1:], block[1:, 0] = sps * n, -sps * n
            block[1:, 1:] = pps * np.outer(n, n) + ppp * (np.eye(3) - np.outer(n, n))
            index.append([i, j, *t])
            blocks.append(block)
        return OrbitalMatrix.of(structure, orbitals, np.array(index), blocks)

    def cell() -> Structure:
        lattice = np.eye(3) * 5.4 + rng.normal(0, 0.2, (3, 3))
        places = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
        return Structure([14] * 4, (places + rng.normal(0, 0.03, (4, 3))) @ lattice, lattice, True)

    # Polynomials of r within the cut-off are in the span of functions of r itself with an envelope.
    from acepot.basis.bond import BondSpec
    from acepot.basis.envelope import PolynomialEnvelope
    from acepot.basis.radial import Legendre
    from acepot.basis.transform import Identity

    radial = Legendre(transform=Identity(), envelope=PolynomialEnvelope(outer=2))
    settings = HamiltonianSettings(
        bonds=BondSpec(degree=1, max_l=2, cutoff=4.0, alone=8, radial=radial),
        hopping_solver=Ridge(damping=1e-11),
    )
    fitted = fit_hamiltonian([Snapshot(matrix(cell())) for _ in range(6)], settings)
    assert fitted.model.overlap is None
    other = matrix(cell())
    (found,) = HamiltonianEvaluator(fitted.model, threads=1).matrices(other.structure).hamiltonian
    given = other.pairs[14, 14]
    off = matched(given.index, found.pairs[14, 14]) - given.values
    assert np.abs(off).max() < 1e-8


def test_committees_know_how_wrong_levels_are(truth):
    """Noise on blocks, and intervals of levels of other cells: 68, 90, 95 % within 5 points."""
    rng = np.random.default_rng(5)
    given = snapshots_of(truth, cells(22, 6))
    noisy = []
    for one in given[:12]:
        pairs = {}
        for pair, blocks in one.hamiltonian.pairs.items():
            noise = rng.normal(0, 0.05, blocks.values.shape)
            pairs[pair] = replace(blocks, values=blocks.values + noise)
        noisy.append(replace(one, hamiltonian=replace(one.hamiltonian, pairs=pairs)))
    fitted = fit_hamiltonian(noisy, settings_of(truth, committee=24))
    evaluator = HamiltonianEvaluator(fitted.model, threads=1)
    points = mesh((2, 2, 2))
    errors = [level_errors(evaluator, one, points, one.electrons, 300.0) for one in given[12:]]
    wide = widths(*in_window(errors[:5]))
    off, sigmas = (np.concatenate(parts) for parts in in_window(errors[5:]))
    for level in (0.68, 0.9, 0.95):
        inside = np.mean(np.abs(off) <= wide[level] * sigmas)
        assert inside == pytest.approx(level, abs=0.05)
    by_name = {e.what: e for e in block_errors(evaluator, given[12:])}
    assert by_name["H, bonds"].rmse < 50  # less than the noise of the labels


def test_atoms_that_are_not_known_are_not_fitted(truth):
    """Nonsense in blocks of other atoms changes nothing."""
    (one,) = snapshots_of(truth, cells(1, 7, atoms=8))
    known = np.arange(8) < 6
    pairs = {}
    for pair, blocks in one.hamiltonian.pairs.items():
        values = blocks.values.copy()
        values[~known[blocks.index[:, :2]].all(axis=1)] = 1e3
        pairs[pair] = replace(blocks, values=values)
    nonsense = replace(one, hamiltonian=replace(one.hamiltonian, pairs=pairs), known=known)
    first, second = (
        fit_hamiltonian([s], settings_of(truth)).model
        for s in (replace(one, known=known), nonsense)
    )
    for a, b in zip(first.hopping.coefficients, second.hopping.coefficients, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first.onsite.coefficients, second.onsite.coefficients, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_does_not_go_together_is_refused(truth, hamiltonian_model):
    one = snapshots_of(truth, cells(1, 8))[0]
    with pytest.raises(InputError, match="snapshots: expected one or more"):
        fit_hamiltonian([])
    with pytest.raises(InputError, match="expected an overlap with all of them"):
        fit_hamiltonian([one, replace(one, overlap=None)])
    other = snapshots_of(hamiltonian_model({"O": "s", "Si": "spd"}, 3), cells(1, 8))[0]
    with pytest.raises(InputError, match="orbitals of O: expected sp as before, got s"):
        fit_hamiltonian([one, other])
    pairs = dict(one.hamiltonian.pairs)
    pairs[8, 8] = replace(pairs[8, 8], index=pairs[8, 8].index[1:], values=pairs[8, 8].values[1:])
    broken = replace(one, hamiltonian=replace(one.hamiltonian, pairs=pairs))
    with pytest.raises(InputError, match="a block of every atom of O with itself, got 2 of 3"):
        fit_hamiltonian([broken], settings_of(truth))


def test_fewer_rows_than_functions(hamiltonian_model, lean):
    """One structure of two atoms: functions that are zero in every row are left out."""
    truth = hamiltonian_model({"Si": "spd"}, 22, settings=lean)
    lattice = np.array([[3.4, 0.2, -0.1], [0.3, 3.6, 0.2], [0.1, -0.2, 3.5]])
    place = np.array([0.4, 0.55, 0.45]) @ lattice
    (one,) = snapshots_of(truth, [Structure([14, 14], [[0, 0, 0], place], lattice, True)])
    model = fit_hamiltonian([one], settings_of(truth)).model
    found = HamiltonianEvaluator(model, threads=1).matrices(one.structure).hamiltonian[0]
    for pair, blocks in one.hamiltonian.pairs.items():
        off = matched(blocks.index, found.pairs[pair]) - blocks.values
        assert np.sqrt(np.mean(off**2)) < 0.5 * np.sqrt(np.mean(blocks.values**2))
