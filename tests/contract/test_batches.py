"""Many structures in one call: what becomes of each, and sums of a committee's outputs."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.choices import resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import VARIABLE, NativeEvaluator, instruction_sets
from acepot.evaluate.protocol import ManyTotals, require
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"


def _model(members: int = 4, nonlinear: bool = False) -> Model:
    spec = resolve(
        BasisSpec(("O", "Si"), order=3, degree=6.0, r0={"default": 2.0}, cutoff={"default": 3.9})
    )
    rng = np.random.default_rng(5)
    densities = 3 if nonlinear else 1
    shape = (1 + members, densities, spec.expansion().size)
    scale = 0.05 if nonlinear else 1.0
    coefficients, e0 = scale * rng.normal(size=shape), rng.normal(size=2)
    embedding = Nonlinear(
        (Embedding("FinnisSinclairShiftedScaled", (1.0, 0.6, 0.3), (1.0, 0.5, 2.0)),) * 2
    )
    return Model(spec, coefficients, e0, nonlinear=embedding if nonlinear else None)


def _structure(rng: np.random.Generator, atoms: int, name: str = "") -> Structure:
    """A triclinic cell whose atoms are 1.3 Å apart or more."""
    side = int(np.ceil(atoms ** (1 / 3)))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cell = 2.1 * side * (np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
    positions = sites[rng.permutation(len(sites))[:atoms]] / side @ cell
    positions = positions + rng.uniform(-0.2, 0.2, size=positions.shape)
    return Structure(rng.choice([8, 14], atoms), positions, cell, True, name=name)


def _with_faults(good: list[Structure]) -> tuple[list[Structure], dict[int, str]]:
    """The same among bad ones, and what is wrong with those by their place."""
    close = replace(good[0], positions=good[0].positions.copy(), name="close")
    close.positions.flags.writeable = True
    close.positions[5] = close.positions[2] + [0.0, 0.04, 0.0]
    twice = replace(good[1], positions=np.repeat(good[1].positions[:1], len(good[1]), axis=0))
    bad = {
        0: (replace(twice, name="twice"), "atoms 0 and 1 sit at the same point"),
        3: (replace(good[2], numbers=np.full(len(good[2]), 92), name="uranium"), "atom 0 is U"),
        4: (close, "atoms 2 and 5 are 0.04"),
        7: (replace(good[0], cell=1e-2 * good[0].cell, name="flat"), "has the cell collapsed"),
        9: (replace(good[0], positions=good[0].positions + 1e9, name="far"), "atom 0 is not at a"),
    }
    batch = list(good)
    for place, (structure, _) in bad.items():
        batch.insert(place, structure)
    return batch, {place: message for place, (_, message) in bad.items()}


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(9, 20, 8, 11, 30, 2, 8), (150, 90, 400, 70, 64, 300, 111)])
def test_what_is_wrong_with_a_structure_is_said_of_it_alone(isa, threads, sizes):
    rng = np.random.default_rng(3)
    good = [_structure(rng, size) for size in sizes]
    batch, faults = _with_faults(good)
    native = NativeEvaluator(lower(_model()), threads, isa)
    results = native.evaluate(batch, committee=True)
    assert [k for k, r in enumerate(results) if r.error is not None] == list(faults)
    for place, message in faults.items():
        assert message in str(results[place].error)
        assert str(results[place].error).startswith(batch[place].name)
        for part in (results[place].energies, results[place].forces, results[place].virials):
            assert np.isnan(part).all()
        assert np.isnan(results[place].committee.forces).all()
    alone = [native.evaluate([s], committee=True)[0] for s in good]
    sound = [r for r in results if r.error is None]
    for one, other in zip(require(sound), alone, strict=True):
        limit = 0 if threads == 1 else 1e-10  # several threads divide the batch in other parts
        np.testing.assert_allclose(one.forces, other.forces, rtol=0, atol=limit)
        np.testing.assert_allclose(one.energies, other.energies, rtol=0, atol=limit)
        np.testing.assert_allclose(
            one.committee.virials, other.committee.virials, rtol=0, atol=10 * limit + 1e-11
        )


def test_the_first_bad_atom_of_a_structure_is_named_however_many_threads_there_are():
    rng = np.random.default_rng(8)
    structure = _structure(rng, 700)
    positions = structure.positions.copy()
    pairs = [(17, 300), (5, 620), (410, 44), (690, 699), (101, 250)]
    for a, b in pairs:
        positions[b] = positions[a] + [0.0, 0.0, 0.05]
    bad = replace(structure, positions=positions)
    tables = lower(_model())
    said = {
        str(NativeEvaluator(tables, threads).evaluate([bad])[0].error)
        for threads in (1, 2, 3, 7)
        for _ in range(4)
    }
    assert len(said) == 1


def test_results_that_are_not_finite_are_of_one_structure():
    rng = np.random.default_rng(2)
    model = _model(members=0)
    model = replace(model, coefficients=1e150 * model.coefficients)
    tables = lower(model)
    tables = replace(tables, products=tuple(
        replace(p, weights=1e157 * p.weights) for p in tables.products))  # fmt: skip
    crowd, lone = _structure(rng, 30), Structure([8], np.zeros((1, 3)))
    results = NativeEvaluator(tables, 1).evaluate([lone, crowd, lone])
    assert results[0].error is None and results[2].error is None
    assert "is not a finite number" in str(results[1].error)


# ------------------------------------------------------------------ bound structures


@pytest.mark.parametrize("evaluator", ["native", "reference"])
def test_walkers_in_step_are_evaluated_from_one_array(evaluator):
    rng = np.random.default_rng(4)
    walkers = [_structure(rng, size, f"walker {size}") for size in (8, 3, 12, 8)]
    options = {"threads": 2} if evaluator == "native" else {}
    potential = acepot.Potential(_model(members=0), evaluator=evaluator, **options)
    bound = potential.bind_many(walkers)
    cells = np.stack([s.cell for s in walkers])
    out = ManyTotals.empty(4, 31)
    ends = np.cumsum([len(s) for s in walkers])
    for step in range(3):
        moved = [replace(s, positions=s.positions + 0.02 * step) for s in walkers]
        positions = np.concatenate([s.positions for s in moved])
        if step == 2:
            positions[ends[0] : ends[1]] = 1.0
        got = bound.compute(positions, cells, out)
        assert got.forces is out.forces and got.energy is out.energy
        expected = [potential.compute(s) for s in moved]
        for k, (one, end) in enumerate(zip(expected, ends, strict=True)):
            if step == 2 and k == 1:
                assert np.isnan(got.energy[k]) and np.isnan(got.virials[k]).all()
                continue
            rows = slice(end - len(walkers[k]), end)
            np.testing.assert_allclose(got.energy[k], one.energy, atol=1e-11)
            np.testing.assert_allclose(got.forces[rows], one.forces, atol=1e-11)
            np.testing.assert_allclose(got.energies[rows], one.energies, atol=1e-11)
            np.testing.assert_allclose(got.virials[k], one.virial, atol=1e-10)
        assert list(got.errors) == ([1] if step == 2 else [])
    assert "walker 3: " in str(got.errors[1]) and "sit at the same point" in str(got.errors[1])


@pytest.mark.parametrize("evaluator", ["native", "reference"])
def test_bound_structures_may_change_their_elements(evaluator):
    rng = np.random.default_rng(9)
    walkers = [_structure(rng, 6, "first"), _structure(rng, 9)]
    options = {"threads": 1} if evaluator == "native" else {}
    potential = acepot.Potential(_model(members=0), evaluator=evaluator, **options)
    bound = potential.bind_many(walkers)
    positions = np.concatenate([s.positions for s in walkers])
    cells = np.stack([s.cell for s in walkers])
    known = potential.model.numbers
    assert len(known) > 1
    for _ in range(3):
        numbers = rng.choice(known, len(positions))
        others = [
            replace(walkers[0], numbers=numbers[:6]),
            replace(walkers[1], numbers=numbers[6:]),
        ]
        got = bound.compute(positions, cells, numbers=numbers)
        wanted = potential.bind_many(others).compute(positions, cells)
        for name in ("energy", "energies", "forces", "virials"):
            np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))
        assert got.errors == {}
    numbers[2] = 79
    got = bound.compute(positions, cells, numbers=numbers)
    assert list(got.errors) == [0] and "first: atom 2 is Au, which" in str(got.errors[0])
    assert np.isnan(got.energy[0]) and got.energy[1] == wanted.energy[1]
    np.testing.assert_allclose(
        bound.compute(positions, cells).energy, [potential.compute(s).energy for s in walkers]
    )


def test_arrays_that_do_not_fit_bound_structures_are_refused():
    rng = np.random.default_rng(4)
    walkers = [_structure(rng, 4), _structure(rng, 5)]
    potential = acepot.Potential(_model(members=0), threads=1)
    bound = potential.bind_many(walkers)
    positions = np.concatenate([s.positions for s in walkers])
    cells = np.stack([s.cell for s in walkers])
    with pytest.raises(InputError, match=r"positions: expected shape \(9, 3\) as bound"):
        bound.compute(positions[:8], cells)
    with pytest.raises(InputError, match=r"cells: expected shape \(2, 3, 3\) as bound"):
        bound.compute(positions, cells[:1])
    with pytest.raises(InputError, match=r"out: expected arrays as ManyTotals.empty makes them"):
        bound.compute(positions, cells, ManyTotals.empty(2, 8))
    wrong = ManyTotals.empty(2, 9)._replace(forces=np.empty((9, 3), dtype=np.float32))
    with pytest.raises(InputError, match=r"out: expected arrays as ManyTotals.empty makes them"):
        bound.compute(positions, cells, wrong)
    with pytest.raises(InputError, match=r"numbers: expected shape \(9,\) as bound, got \(8,\)"):
        bound.compute(positions, cells, numbers=np.full(8, 8))
    with pytest.raises(InputError, match=r"numbers: expected atomic numbers 1 to 118"):
        bound.compute(positions, cells, numbers=np.full(9, 119))
    with pytest.raises(InputError, match="structures: expected at least one, got none"):
        potential.bind_many([])
    with pytest.raises(InputError, match="structure 1: atom 0 is Au"):
        potential.bind_many([walkers[0], Structure([79], np.zeros((1, 3)))])


# ------------------------------------------------------------------ sums of outputs


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize(
    ("members", "nonlinear"), [(1, False), (4, False), (6, False), (0, False), (0, True)]
)
def test_a_sum_of_outputs_is_the_sum_of_their_forces(members, nonlinear, isa):
    """With weights that all atoms share, that structures have, and that atoms have."""
    rng = np.random.default_rng(6)
    structures = [_structure(rng, size) for size in (10, 7, 40, 1)]
    native = NativeEvaluator(lower(_model(members, nonlinear)), 2, isa)
    plain = require(native.evaluate(structures, committee=True))
    same = rng.normal(size=1 + members)
    kinds = {
        "shared": [same] * 4,
        "of structures": [rng.normal(size=1 + members) for _ in structures],
        "of atoms": [rng.normal(size=(1 + members, len(s))) for s in structures],
    }
    kinds["mixed"] = [same, *kinds["of atoms"][1:]]
    for kind, weights in kinds.items():
        sums = require(native.combination(structures, weights))
        for result, found, a in zip(plain, sums, weights, strict=True):
            if a.ndim == 2:  # forces of single sites: below
                continue
            forces = a[0] * result.forces + np.tensordot(a[1:], result.committee.forces, 1)
            virial = a[0] * result.virial + np.tensordot(a[1:], result.committee.virials, 1)
            scale = max(1.0, np.abs(result.committee.forces).max(initial=0.0))
            np.testing.assert_allclose(found.forces, forces, atol=1e-12 * scale, err_msg=kind)
            np.testing.assert_allclose(found.virial, virial, atol=1e-11 * scale, err_msg=kind)
        ones = [np.repeat(same[:, None], len(s), axis=1) for s in structures]
        for one, other in zip(
            native.combination(structures, ones), native.combination(structures, kinds["shared"]),
            strict=True,
        ):  # fmt: skip
            scale = max(1.0, np.abs(other.forces).max())
            np.testing.assert_allclose(one.forces, other.forces, atol=1e-12 * scale)
            np.testing.assert_allclose(one.virials, other.virials, atol=1e-12 * scale)


@pytest.mark.parametrize(("members", "nonlinear"), [(3, False), (0, True)])
def test_a_sum_of_outputs_of_sites_has_these_derivatives(members, nonlinear):
    """Σ_oi a_oi E_oi along a random displacement and a random strain, by finite differences."""
    rng = np.random.default_rng(7)
    structure = _structure(rng, 12)
    native = NativeEvaluator(lower(_model(members, nonlinear)), 1)
    weights, step = rng.normal(size=(1 + members, 12)), 1e-4
    along, strain = rng.normal(size=(12, 3)), 0.3 * rng.normal(size=(3, 3))
    (found,) = require(native.combination([structure], [weights]))

    def value(t: float) -> float:
        turn = np.eye(3) + t * strain
        positions = (structure.positions + t * along) @ turn
        moved = replace(structure, positions=positions, cell=structure.cell @ turn)
        return float((weights * require(native.committee([moved]))[0].sites).sum())

    slope = (8 * (value(step) - value(-step)) - value(2 * step) + value(-2 * step)) / (12 * step)
    expected = -(found.forces * along).sum() - (found.virial * strain).sum()
    assert abs(slope - expected) < 1e-8 * max(1.0, abs(expected))


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize(("members", "nonlinear"), [(6, False), (0, False), (0, True)])
def test_energies_of_a_committee_without_forces(members, nonlinear, isa):
    rng = np.random.default_rng(9)
    structures = [_structure(rng, size) for size in (10, 33)]
    bad = Structure([8, 8], np.zeros((2, 3)), name="twice")
    native = NativeEvaluator(lower(_model(members, nonlinear)), 1, isa)
    plain = native.evaluate([structures[0], bad, structures[1]], committee=True)
    energies = native.committee([structures[0], bad, structures[1]])
    assert "sit at the same point" in str(energies[1].error) and np.isnan(energies[1].sites).all()
    for one, other in zip(energies, plain, strict=True):
        if other.error is None:
            np.testing.assert_allclose(one.totals[1:], other.committee.energies, rtol=1e-12)
            np.testing.assert_allclose(one.sites[0], other.energies, rtol=0, atol=1e-11)


def test_weights_of_another_shape_are_refused():
    rng = np.random.default_rng(9)
    native = NativeEvaluator(lower(_model(2)), 1)
    structures = [_structure(rng, 5, "first"), _structure(rng, 6)]
    with pytest.raises(InputError, match="weights: expected those of 2 structures, got 1"):
        native.combination(structures, [np.ones(3)])
    with pytest.raises(
        InputError, match=r"first: weights: expected finite numbers of shape \(3,\)"
    ):
        native.combination(structures, [np.ones(4), np.ones(3)])
    with pytest.raises(InputError, match=r"structure 1: weights: .*\(3, 6\), got \(3, 5\)"):
        native.combination(structures, [np.ones(3), np.ones((3, 5))])
    with pytest.raises(InputError, match="expected finite numbers"):
        native.combination(structures, [np.full(3, np.nan), np.ones(3)])


def test_the_spread_of_a_committee_and_its_derivatives():
    rng = np.random.default_rng(12)
    model = _model(5)
    potential = acepot.Potential(model, threads=1)
    structures = [_structure(rng, 9), Structure([8, 8], np.zeros((2, 3))), _structure(rng, 14)]
    spreads = potential.spread(structures)
    slow = acepot.Potential(model, evaluator="reference").spread(structures)
    for one, other in zip(spreads, slow, strict=True):
        assert (one.error is None) == (other.error is None)
        scale = 1.0 if one.error else max(1.0, np.abs(other.forces).max())
        np.testing.assert_allclose(one.value, other.value, rtol=1e-9)
        np.testing.assert_allclose(one.forces, other.forces, atol=1e-10 * scale)
        np.testing.assert_allclose(one.virial, other.virial, atol=1e-9 * scale)
    along, step = rng.normal(size=(9, 3)), 1e-4

    def value(t: float) -> float:
        moved = replace(structures[0], positions=structures[0].positions + t * along)
        return potential.spread([moved])[0].value

    slope = (8 * (value(step) - value(-step)) - value(2 * step) + value(-2 * step)) / (12 * step)
    expected = -(spreads[0].forces * along).sum()
    assert abs(slope - expected) < 1e-7 * max(1.0, abs(expected))
    with pytest.raises(InputError, match="committee: this model has none"):
        acepot.Potential(_model(0), threads=1).spread(structures)


# ------------------------------------------------------------------ threads


@pytest.mark.parametrize("pbc", [True, [True, False, False], False])
def test_parts_of_a_large_structure_give_its_forces(pbc):
    """Compact parts, sums over the points that each thread touches; the same bits every time."""
    rng = np.random.default_rng(14)
    structure = replace(_structure(rng, 4000), pbc=np.broadcast_to(pbc, 3).copy())
    tables = lower(_model(2))
    (one,) = require(NativeEvaluator(tables, 1).evaluate([structure], committee=True))
    for threads in (2, 3, 7):
        native = NativeEvaluator(tables, threads)
        (first,) = require(native.evaluate([structure], committee=True))
        np.testing.assert_allclose(first.forces, one.forces, rtol=0, atol=1e-10)
        np.testing.assert_allclose(first.energies, one.energies, rtol=0, atol=1e-10)
        np.testing.assert_allclose(first.committee.forces, one.committee.forces, rtol=0, atol=1e-10)
        for _ in range(2):
            (again,) = require(native.evaluate([structure], committee=True))
            np.testing.assert_array_equal(first.committee.forces, again.committee.forces)
            np.testing.assert_array_equal(first.virials, again.virials)


#: The system starts no thread for this user; a child, because the limit stays.
NO_THREADS = """
import os, resource, sys
import numpy as np
import acepot
cell = 5.43 * 2 * np.eye(3)
places = np.array(list(np.ndindex(4, 4, 4))) * 2.715 + 0.1
structure = acepot.Structure(np.full(64, 14), places, cell, True)
model = acepot.load(sys.argv[1])
structures = [structure] * 8
expected = acepot.Potential(model, threads=1).compute_all(structures)[3].forces
potential = acepot.Potential(model, threads=4)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if os.getuid() == 0:
    os.setuid(65534)
found = potential.compute_all(structures)
print("tasks", len(os.listdir("/proc/self/task")),
      "same", bool(np.abs(found[3].forces - expected).max() < 1e-10))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of threads as Linux has them")
def test_a_machine_that_starts_no_threads_gives_the_same_forces():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NO_THREADS, str(SILICON)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "tasks 1 same True", done.stdout + done.stderr


#: 64,000 atoms, 16 threads, 16 members: memory beyond the results, in MB.
MEMORY = """
import sys
from dataclasses import replace
import numpy as np
import acepot
from acepot.evaluate.native import NativeEvaluator
from acepot.lowering import lower
rng = np.random.default_rng(1)
model = acepot.load(sys.argv[1])
size = model.coefficients.shape[2]
members = model.coefficients[:1] * (1 + 0.01 * rng.normal(size=(17, 1, size)))
tables = lower(acepot.Model(model.basis, members, model.e0))
base = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0],
                 [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
shifts = np.array(list(np.ndindex(20, 20, 20)))
places = 5.43 * (base + shifts[:, None]).reshape(-1, 3) + rng.normal(scale=0.05, size=(64000, 3))
structure = acepot.Structure(np.full(64000, 14), places, 5.43 * 20 * np.eye(3), True)
native = NativeEvaluator(tables, 16)

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))

native.evaluate([acepot.Structure([14], [[0, 0, 0]])], committee=True)
before = peak()
(result,) = native.evaluate([structure], committee=True)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux counts it")
def test_memory_of_many_threads_and_members_stays_small():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY, str(SILICON)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 150


# ------------------------------------------------------------------ Ctrl-C

#: Says when it begins and how it ends; then the same evaluator is asked once more.
LONG = """
import signal, sys, time
import numpy as np
import acepot
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
potential = acepot.Potential(acepot.load(sys.argv[1]), threads=int(sys.argv[2]))
cell = 5.43 * 2 * np.eye(3)
base = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0],
                 [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
def crystal(n):
    shifts = np.array(list(np.ndindex(n, n, n)))
    places = 5.43 * (base + shifts[:, None]).reshape(-1, 3)
    places += np.random.default_rng(3).normal(scale=0.05, size=places.shape)
    return acepot.Structure(np.full(len(places), 14), places, 5.43 * n * np.eye(3), True)
small = crystal(2)
before = potential.compute(small)
long = [crystal(50)] if sys.argv[3] == "one" else [small] * 15625
print("begin", flush=True)
try:
    potential.compute_all(long)
    print("finished", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    after = potential.compute(small)
    print((before.forces == after.forces).all() and (before.energies == after.energies).all())
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("what", ["one", "many"])
def test_ctrl_c_ends_a_long_evaluation(threads, what):
    """A million atoms, with the slowest instructions: a quarter of a minute or more."""
    command = [sys.executable, "-W", "ignore", "-c", LONG, str(SILICON), str(threads), what]
    with subprocess.Popen(
        command, env={**os.environ, VARIABLE: "baseline"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().strip() == "begin"
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        said = process.stdout.readline().strip()
        waited = time.monotonic() - sent
        rest, errors = process.stdout.read(), process.stderr.read()
    assert said == "interrupted", errors
    assert waited < 5
    assert rest.strip() == "True"
