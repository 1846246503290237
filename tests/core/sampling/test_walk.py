"""Walks: functions of their tasks, however they are cut and continued."""

from __future__ import annotations

import numpy as np
import pytest
from exact_cases import lennard_jones, no_energy
from walking import Array, placed, task_of, walked

from acepot.sampling.draws import Purpose, draws
from acepot.sampling.energies import FunctionEnergies, NotFiniteError
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.atom import Atom
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.hamiltonian import Hamiltonian
from acepot.sampling.moves.shape import Shear, Stretch
from acepot.sampling.moves.species import Swap, Transmutation
from acepot.sampling.moves.volume import Volume
from acepot.sampling.nested import NestedSampling
from acepot.sampling.prior import Prior
from acepot.sampling.settings import Settings, Stop, Tuning
from acepot.sampling.walk import Task, Walked, walk
from acepot.sampling.walkers import State, Walkers

ATOMS = 4
#: All kinds of moves there are.
MOVES = (
    Galilean(length=4, parts=2), Hamiltonian(length=4, parts=2), Atom(), Volume(), Shear(),
    Stretch(), Swap(cluster=2), Transmutation(),
)  # fmt: skip


def alloy(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
    """Lennard-Jones pairs of nearest images, deeper between atoms of different elements."""
    i, j = np.triu_indices(ATOMS, 1)
    s = positions @ np.linalg.inv(cells)
    f = s[:, i] - s[:, j]
    apart = (f - np.rint(f)) @ cells
    e, pull = lennard_jones(np.einsum("bpx,bpx->bp", apart, apart), 2.5)
    deep = np.where(numbers[:, i] == numbers[:, j], 1.0, 1.5)
    forces = np.zeros_like(positions)
    for p, (a, b) in enumerate(zip(i, j, strict=True)):
        vector = (deep[:, p] * pull[:, p])[:, None] * apart[:, p]
        forces[:, a] += vector
        forces[:, b] -= vector
    return (deep * e).sum(axis=1), forces


def sampler(iterations: int, batch: int = 6) -> NestedSampling:
    ensemble = Ensemble(
        [3, 3, 11, 11], Prior(volume_max=30.0, min_aspect=0.7), [0.1, 0.4], {3: 0.3},
        {3: 7.0, 11: 23.0}, elements=[3, 11], kinetic=[5.0, 6.0],
    )  # fmt: skip
    settings = Settings(
        12,
        90,
        MOVES,
        Stop(iterations),
        batch,
        seed=7,
        tuning=Tuning(8, 16, rounds=6),
        shape_rounds=30,
    )
    return NestedSampling(ensemble, settings, FunctionEnergies(alloy, batched=True))


def equal(one: State, other: State) -> bool:
    a, b = one.arrays(), other.arrays()
    assert a.keys() == b.keys()
    alike = [np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind == "f") for k in a]
    return all(alike) and one.iteration == other.iteration


def test_a_run_that_is_written_and_read_goes_on_bit_for_bit() -> None:
    whole = sampler(30)
    state = whole.begin()
    culled = [one.total for _ in range(30) for one in whole.step(state)]
    assert (state.accepted > 0).any(axis=0).all(), "each kind of move is accepted"
    assert state.exchanged[0, 1] > 0
    for half in (7, 8, 19):
        first = sampler(30)
        part = first.begin()
        found = [one.total for _ in range(half) for one in first.step(part)]
        kept = {name: array.copy() for name, array in part.arrays().items()}
        again = State.from_arrays(kept, part.iteration)
        second = sampler(30)
        while not second.finished(again):
            found += [one.total for one in second.step(again)]
        assert found == culled
        assert equal(again, state)


def test_the_result_does_not_depend_on_how_walks_are_cut() -> None:
    results = []
    for count in (1, 5, 12):
        sampling = sampler(9)

        def execute(task: Task, of: NestedSampling = sampling, count: int = count) -> Walked:
            parts = task.parts(count)
            assert len(parts) == min(count, len(task.replicas))
            done = [walk(of.ensemble, of.settings.moves, of.energies, part) for part in parts]
            return Walked.joined(done)

        sampling = NestedSampling(sampling.ensemble, sampling.settings, sampling.energies, execute)
        state = sampling.begin()
        while not sampling.finished(state):
            sampling.step(state)
        results.append(state)
    assert all(equal(one, results[0]) for one in results[1:])


def test_a_walk_leaves_its_task_alone_and_keeps_to_the_limit() -> None:
    sampling = sampler(5)
    state = sampling.begin()
    tasks = []

    def execute(task: Task) -> Walked:
        before = {k: a.copy() for k, a in task.walkers.arrays().items()}
        done = walk(sampling.ensemble, sampling.settings.moves, sampling.energies, task)
        assert all((before[k] == a).all() for k, a in task.walkers.arrays().items())
        assert (done.walkers.total < task.limits).all()
        tasks.append(task)
        return done

    watched = NestedSampling(sampling.ensemble, sampling.settings, sampling.energies, execute)
    watched.step(state)
    watched.step(state)
    w = state.walkers
    volumes = np.linalg.det(w.cells)
    h = w.energy + w.kinetic + np.array([[0.1], [0.4]]) * volumes - 0.3 * (w.numbers == 3).sum(-1)
    np.testing.assert_allclose(w.total, h, rtol=1e-12)
    flat = [a.reshape(24, *a.shape[2:]) for a in (w.positions, w.cells, w.numbers)]
    energy, forces = alloy(*flat)
    np.testing.assert_allclose(w.energy.ravel(), energy, rtol=1e-9)
    np.testing.assert_allclose(w.forces.reshape(24, ATOMS, 3), forces, rtol=1e-6, atol=1e-9)
    assert {task.purpose for task in tasks} == {Purpose.PILOT, Purpose.WALK}


def test_draws_differ_in_all_that_they_are_named_by() -> None:
    names = [(1, 0, 0, Purpose.WALK, 0), (2, 0, 0, Purpose.WALK, 0), (1, 1, 0, Purpose.WALK, 0)]
    names += [(1, 0, 1, Purpose.WALK, 0), (1, 0, 0, Purpose.PILOT, 0), (1, 0, 0, Purpose.WALK, 1)]
    found = {tuple(draws(*one).random(4)) for one in names}
    assert len(found) == len(names)
    assert tuple(draws(*names[0]).random(4)) in found


def test_a_key_decides_between_equal_totals() -> None:
    """All totals equal the limit: the key of a walker is drawn anew below that of the limit."""
    ensemble = Ensemble([1], Prior(8.0, shape="fixed", volume="fixed"))
    walkers = placed(ensemble, no_energy, np.zeros((500, 1, 3)), 2.0 * np.eye(3))
    found = walked(ensemble, no_energy, [Atom()], walkers, 0.0, 3, [0.5])
    assert (found.accepted == 3).all()
    assert found.walkers.key.max() < 0.5 and found.walkers.key.min() < 0.01
    stopped = walked(ensemble, no_energy, [Atom()], walkers, -1.0, 3, [0.5])
    assert (stopped.accepted == 0).all()


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_an_energy_that_is_no_number_is_an_error_that_holds_the_structure(bad: float) -> None:
    ensemble = Ensemble([14], Prior(27.0, shape="fixed", volume="fixed"))
    start = np.zeros((3, 1, 3))
    walkers = placed(ensemble, no_energy, start, 3.0 * np.eye(3))

    def broken(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        energy = np.zeros(len(positions))
        energy[1] = bad
        return energy, np.zeros_like(positions)

    with pytest.raises(NotFiniteError, match=r"the model gave energy -?(nan|inf) .* 27 Å³") as info:
        walked(ensemble, broken, [Atom()], walkers, 1.0, 1, [0.5])
    assert len(info.value.structure) == 1 and info.value.structure.numbers[0] == 14


def test_what_cannot_be_evaluated_is_refused_by_every_move() -> None:
    """Infinite energy beyond x = 1, with forces that are no numbers."""
    ensemble = Ensemble([14], Prior(1000.0, shape="fixed", volume="fixed"), kinetic=1.0)

    def wall(positions: Array, cells: Array, numbers: Array) -> tuple[Array, Array]:
        out = np.abs(positions[:, 0, 0] - 5) > 1.0
        forces = np.where(out[:, None, None], np.nan, np.zeros_like(positions))
        return np.where(out, np.inf, 0.0), forces

    start = np.full((200, 1, 3), 5.0)
    walkers = placed(ensemble, wall, start, 10.0 * np.eye(3))
    for move in (Atom(), Galilean(), Hamiltonian()):
        found = walked(ensemble, wall, [move], walkers, 2.0, 5, [0.5])
        assert np.isfinite(found.walkers.total).all()
        assert np.isfinite(found.walkers.forces).all()
        assert 0 < found.accepted.mean() < 5
        assert (np.abs(found.walkers.positions[:, 0, 0] - 5) <= 1.0).all()


def test_walkers_are_taken_and_put_by_index() -> None:
    walkers = Walkers.empty((2, 3), 2)
    walkers.total[:] = np.arange(6).reshape(2, 3)
    one = walkers.take([0, 1], [2, 0])
    assert one.total.tolist() == [2.0, 3.0]
    one.total[:] = -1.0
    assert walkers.total[0, 2] == 2.0
    walkers.put(one, [1, 0], [1, 1])
    assert walkers.total.tolist() == [[0.0, -1.0, 2.0], [3.0, -1.0, 5.0]]
    assert task_of(one, 1.0, [0], [1.0]).parts(9)[1].walkers.total.tolist() == [-1.0]
