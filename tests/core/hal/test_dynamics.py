"""Dynamics and moves against averages that are known exactly; every law also sees its fault."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hal_cases import free, pair_energy, walkers

from acepot.errors import InputError
from acepot.hal import moves as moving
from acepot.hal.dynamics import FAILED, Dynamics, begin
from acepot.hal.moves import Move, Proposal, Strain, Swap, Volume, make
from acepot.hal.surface import FunctionSurface
from acepot.structure import Structure
from acepot.units import BOLTZMANN

KT = BOLTZMANN * 300.0


def randoms(seed):
    """Generators of walkers, kept from step to step."""
    kept = {}

    def of(walker, _of_moves):
        return kept.setdefault(id(walker), np.random.default_rng([seed, len(kept)]))

    return of


# ------------------------------------------------------------------ cells

GAS = Structure([18] * 8, np.random.default_rng(0).random((8, 3)) * 20.0, 20.0 * np.eye(3), True)
PRESSURE = 9 * KT / 8000.0  # <V> is 8000 Å³


def volumes(move: Move, *, times=400, count=12, pressure=PRESSURE, kelvin=300.0):
    """Mean volume and mean ln V of an ideal gas, and the error of the mean volume."""
    several, kept = walkers(GAS, count, 300.0, 1), []
    of = [np.random.default_rng([7, k]) for k in range(count)]
    begin(several, free())
    for time in range(times):
        make(0, move, several, free(), kelvin, pressure, of)
        if time >= 100:
            kept.append([w.volume for w in several])
    found = np.array(kept)
    return found.mean(), np.log(found).mean(), found.mean(axis=0).std() / np.sqrt(count)


@dataclass(frozen=True)
class WithoutJacobian(Volume):
    """Atoms that move with the cell do not count."""

    def propose(self, walker, random):
        found = super().propose(walker, random)
        return None if found is None else replace(found, powers=0)


@dataclass(frozen=True)
class StrainAsVolume(Strain):
    """N in place of N + 1 for steps of ε."""

    def propose(self, walker, random):
        return replace(super().propose(walker, random), powers=len(walker.numbers))


@dataclass(frozen=True)
class NotReversible(Volume):
    """Cells grow and shrink by factors that are not those of the way back: 1 ± δ."""

    def propose(self, walker, random):
        factor = 1.0 + 0.2 * (2.0 * random.random() - 1.0)
        return Proposal(walker.positions * factor, walker.cell * factor, len(walker.numbers))


# ln V of p(V) ~ V^N exp(-βPV): digamma(N + 1) - ln(βP).
LN_V = 2.1406414779556 - np.log(PRESSURE / KT)


@pytest.mark.parametrize(
    "move",
    [Volume(step=300.0), pytest.param(Strain(step=0.15), marks=pytest.mark.slow)],
    ids=lambda m: m.kind,
)
def test_the_ideal_gas_has_its_volume(move):
    mean, logarithm, error = volumes(move)
    assert abs(mean - 8000.0) < 4 * error and error < 250.0
    assert abs(logarithm - LN_V) < 0.06


@pytest.mark.parametrize(
    "move",
    [
        WithoutJacobian(step=300.0),
        pytest.param(StrainAsVolume(step=0.15), marks=pytest.mark.slow),
        NotReversible(step=1.0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_a_wrong_acceptance_of_cells_is_seen(move):
    mean, _, error = volumes(move)
    assert abs(mean - 8000.0) > 4 * error


def test_a_wrong_sign_of_the_pressure_or_of_metropolis_is_seen():
    small = Structure(GAS.numbers, GAS.positions, GAS.cell, True)
    assert len(small) == 8
    mean, _, _ = volumes(Volume(step=100.0), times=300, pressure=-PRESSURE)
    assert mean > 9000.0  # runs away


def test_a_refused_volume_leaves_no_trace():
    """Not even in arrays that somebody else holds."""

    def wall(structure):
        nothing = np.zeros((len(structure), 3))
        return (0.0 if abs(structure.volume - 8000.0) < 1e-6 else 1e6), 0.0, nothing, nothing

    surface, several = FunctionSurface(wall), walkers(GAS, 2, 300.0, 3)
    begin(several, surface)
    held = [(w.positions, w.cell, w.positions.copy(), w.cell.copy()) for w in several]
    for move in (Volume(step=100.0), Strain(step=0.05)):
        make(0, move, several, surface, 300.0, 0.0, [np.random.default_rng(k) for k in range(2)])
    for walker, (places, cell, before, cell_before) in zip(several, held, strict=True):
        assert walker.positions is places and walker.cell is cell
        assert np.array_equal(places, before) and np.array_equal(cell, cell_before)
    assert several[0].tried.tolist() == [[2, 0]]


# ------------------------------------------------------------------ elements


def swapping(move: Move, sign: float = 1.0):
    """How often the heavy atom is in the deeper well, and mean kinetic energies by element."""
    sites = np.array([[5.0, 5.0, 5.0], [12.0, 5.0, 5.0]])
    depth = sign * 1.2 * KT  # by which argon likes the first site better than neon does

    def function(structure):
        apart = structure.positions[:, None] - sites[None]  # [atom, site, x]
        near = np.linalg.norm(apart, axis=-1).argmin(axis=1)
        away = structure.positions - sites[near]
        energy = 0.5 * 2.0 * (away**2).sum()
        energy -= depth * ((structure.numbers == 18) & (near == 0)).sum()
        return energy, 0.0, -2.0 * away, np.zeros_like(away)

    surface = FunctionSurface(function)
    start = Structure([18, 10], sites, 17.0 * np.eye(3), True)
    several = walkers(start, 14, 300.0, 5)
    begin(several, surface)
    dynamics, there, kinetic = Dynamics(8.0, 20.0, (move,)), [], []
    of = randoms(11)
    for time in range(320):
        dynamics.step(several, surface, lambda _: (300.0, 0.0), of)
        if time > 50:
            there.append([np.linalg.norm(w.positions[0] - sites[0]) < 3.5 for w in several])
            kinetic.append([w.masses * (w.velocities**2).sum(axis=1) for w in several])
    return np.mean(there), np.mean(kinetic, axis=(0, 1)) / (3 * KT)


@dataclass(frozen=True)
class SwapOfVelocities(Swap):
    """Velocities go with the positions, though masses differ."""

    def propose(self, walker, random):
        found = super().propose(walker, random)
        walker.velocities = walker.velocities[::-1].copy()
        return found


def test_elements_are_where_boltzmann_wants_them_and_equally_hot():
    part, kinetic = swapping(Swap(every=2))
    assert part == pytest.approx(1 / (1 + np.exp(-1.2)), abs=0.05)
    assert kinetic == pytest.approx(np.ones(2), abs=0.09)


def test_velocities_that_are_swapped_with_positions_are_seen():
    _, kinetic = swapping(SwapOfVelocities(every=2))
    assert abs(kinetic[0] - kinetic[1]) > 0.12


def test_an_inverted_metropolis_is_seen(monkeypatch):
    part, _ = swapping(Swap(every=2), sign=-1.0)
    assert part == pytest.approx(1 / (1 + np.exp(1.2)), abs=0.05)


def test_a_swap_needs_two_elements():
    mixed, bare = np.array([1, 8]), np.array([False, True, True])
    assert not Swap().suits(GAS.numbers, GAS.pbc) and Swap().suits(mixed, bare)
    assert Volume().suits(GAS.numbers, GAS.pbc) and not Volume().suits(mixed, bare)


# ------------------------------------------------------------------ dynamics


def crystal(stiffness=3.0, atoms=60):
    """Independent harmonic oscillators."""
    sites = np.arange(3.0 * atoms).reshape(atoms, 3)

    def function(structure):
        away = structure.positions - sites
        return 0.5 * stiffness * (away**2).sum(), 0.0, -stiffness * away, np.zeros_like(away)

    return Structure([18] * atoms, sites), FunctionSurface(function), sites


@pytest.mark.parametrize("timestep", [10.0, 60.0])
def test_a_harmonic_crystal_is_exact_whatever_the_time_step(timestep):
    start, surface, sites = crystal()
    (walker,) = walkers(start, 1, 300.0, 2)
    begin([walker], surface)
    dynamics, squares, of = Dynamics(timestep, 10.0), [], randoms(4)
    for time in range(2500):
        dynamics.step([walker], surface, lambda _: (300.0, 0.0), of)
        if time > 200:
            squares.append(((walker.positions - sites) ** 2).mean())
    assert np.mean(squares) == pytest.approx(KT / 3.0, rel=0.025)


def test_constant_energy_does_not_drift():
    start, surface, _ = crystal()
    (walker,) = walkers(start, 1, 300.0, 2)
    begin([walker], surface)
    dynamics, before = Dynamics(1.5, 0.0), walker.energy + walker.kinetic

    def drift(without_second_kick):
        found = []
        for _ in range(300):
            dynamics.step([walker], surface, lambda _: (300.0, 0.0), randoms(0))
            if without_second_kick:
                walker.velocities = walker.velocities - dynamics._kick(walker)
            found.append(abs(walker.energy + walker.kinetic - before))
        return max(found)

    assert drift(False) < 2e-3 * before
    assert drift(True) > 0.1 * before


def test_two_atoms_of_lennard_jones_have_their_energy_and_volume():
    """Integrals over the cell, and over volumes, on a grid."""
    kelvin = 900.0
    kt, pressure = BOLTZMANN * kelvin, 1.5e-4

    def function(structure):
        side = structure.cell[0, 0]
        apart = structure.positions[1] - structure.positions[0]
        apart = apart - side * np.round(apart / side)
        length = np.linalg.norm(apart)
        energy, slope = pair_energy(np.array(length))
        pull = float(slope) * apart / length
        return float(energy), 0.0, np.array([pull, -pull]), np.zeros((2, 3))

    surface = FunctionSurface(function)
    start = Structure([18, 18], [[0, 0, 0], [2.6, 0, 0]], 9.0 * np.eye(3), True)
    grid = (np.arange(40) + 0.5) / 40 - 0.5
    points = np.stack(np.meshgrid(grid, grid, grid), -1).reshape(-1, 3)
    volume = np.linspace(85.0, 9000.0, 160)

    def inside(v):
        energy = pair_energy(np.maximum(np.linalg.norm(points, axis=1) * np.cbrt(v), 1.0))[0]
        weight = np.exp(-energy / kt)
        return weight.mean(), (energy * weight).mean()

    fixed = inside(729.0)
    parts = np.array([inside(v) for v in volume])
    weights = volume**2 * np.exp(-pressure * volume / kt)
    expected = (weights * parts[:, 0] * volume).sum() / (weights * parts[:, 0]).sum()
    energies, sizes = [], []
    several, of = walkers(start, 8, kelvin, 8), randoms(9)
    others = walkers(start, 8, kelvin, 18)
    begin([*several, *others], surface)
    still, free_cell = Dynamics(12.0, 8.0), Dynamics(12.0, 8.0, (Volume(every=1, step=180.0),))
    for time in range(600):
        still.step(several, surface, lambda _: (kelvin, 0.0), of)
        free_cell.step(others, surface, lambda _: (kelvin, pressure * 160.21766), of)
        if time > 150:
            energies.append([w.energy for w in several])
            sizes.append([w.volume for w in others])
    error = np.mean(energies, axis=0).std() / np.sqrt(8)
    assert abs(np.mean(energies) - fixed[1] / fixed[0]) < 4 * error + 1e-4
    assert error < 0.3 * abs(fixed[1] / fixed[0])
    spread = np.mean(sizes, axis=0).std() / np.sqrt(8)
    assert abs(np.mean(sizes) - expected) < 4 * spread and spread < 0.1 * expected


def test_a_walker_that_cannot_be_evaluated_ends_alone_where_it_was():
    def function(structure):
        if structure.positions[0, 0] > 1.0:
            raise InputError("too far")
        return 0.0, 0.0, np.zeros((1, 3)), np.zeros((1, 3))

    surface = FunctionSurface(function)
    two = walkers(Structure([18], [[0.0, 0.0, 0.0]]), 2, 0.0, 0)
    begin(two, surface)
    two[0].velocities = np.array([[1.0, 0.0, 0.0]])
    before = two[0].positions
    Dynamics(2.0, 0.0).step(two, surface, lambda _: (300.0, 0.0), randoms(0))
    assert two[0].ended == FAILED and two[0].positions is before
    assert two[1].ended == "" and two[1].step == 1


def test_moves_know_their_settings():
    with pytest.raises(InputError, match="every: expected 1 to"):
        Volume(every=0)
    with pytest.raises(InputError, match="step: expected more than 0"):
        Strain(step=0.0)
    assert set(moving.Move.kinds) == {"volume", "strain", "swap"}
