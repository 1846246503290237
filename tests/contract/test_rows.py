"""Compiled design rows are held to the oracle and to the compiled evaluator."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.native import (
    NativeEvaluator,
    NativeRowBuilder,
    instruction_sets,
    most_l,
)
from acepot.evaluate.protocol import Quantity, RowBuilder, require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.structure import Structure
from acepot.tables import Tables

ELEMENTS = {1: ("Si",), 2: ("O", "Si"), 3: ("H", "O", "Si"), 4: ("H", "C", "N", "O")}
ALL: tuple[Quantity, ...] = ("energy", "forces", "virial")


class Rows(NamedTuple):
    """All design rows of energies of one structure."""

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


def _assert_same(got: Rows, expected: Rows, where: str) -> None:
    """To rounding: of the largest entry of all, as force rows may cancel to nothing."""
    scale = max(*(np.abs(getattr(expected, name)).max() for name in ALL), 1.0)
    for name in ALL:
        a, b = getattr(got, name), getattr(expected, name)
        error = np.abs(a - b).max() / scale
        assert error < 1e-12, f"{where}: {name} rows differ by {error:.1e}"


def _rows(builder: RowBuilder, structure: Structure) -> Rows:
    out = np.full((3 * len(structure) + 7, builder.tables.functions), np.nan, order="F")
    builder.fill(structure, ALL, out)
    return Rows(out[0], out[1:-6], out[-6:])


def _oracle(tables: Tables, structure: Structure) -> Rows:
    return _rows(ReferenceEvaluator(tables), structure)


def _native(tables: Tables, structure: Structure, threads: int = 1, isa: str | None = None) -> Rows:
    return _rows(NativeRowBuilder(tables, threads, isa), structure)


@pytest.mark.parametrize("isa", instruction_sets())
def test_rows_equal_the_oracles_on_every_path(any_case, isa):
    for name, structure in any_case.structures.items():
        got = _native(any_case.tables, structure, 1, isa)
        _assert_same(got, any_case.rows(structure), f"{any_case.name}, {isa}, {name}")


def test_rows_times_coefficients_are_the_evaluation(any_case):
    """rows · c = evaluate, less E0, both compiled."""
    evaluator = NativeEvaluator(any_case.tables, 1)
    c = any_case.model.coefficients[0, 0]
    for name, structure in any_case.structures.items():
        species = any_case.species(structure)
        rows = _native(any_case.tables, structure)
        (result,) = require(evaluator.evaluate([structure]))
        w = result.virial[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
        energy = result.energy - any_case.model.e0[species].sum()
        scale = max(np.abs(result.energies).max(), np.abs(result.forces).max(), 1.0)
        for what, a, b in (
            ("energy", rows.energy @ c, energy),
            ("forces", rows.forces @ c, result.forces.ravel()),
            ("virial", rows.virial @ c, w),
        ):
            error = np.abs(a - b).max() / scale
            assert error < 1e-10, f"{any_case.name}, {name}: {what} differs by {error:.1e}"


def _model(elements: tuple[str, ...], order: int, degree: float, **more: object) -> Model:
    spec = resolve(
        BasisSpec(
            elements,
            order=order,
            degree=degree,
            r0={"default": 1.9},
            cutoff={"default": 3.9},
            pair=Pair(degree=3, cutoff=4.6),
            **more,
        )
    )
    size = spec.expansion().size
    coefficients = np.random.default_rng(6).normal(size=size)
    return Model(spec, coefficients, np.zeros(len(elements)))


def _random_structure(rng: np.random.Generator, numbers: tuple[int, ...], atoms: int) -> Structure:
    """A skewed cell of any periodicity, smaller than the cut-off or not, atoms outside it."""
    while True:
        cell = rng.normal(size=(3, 3)) + 3.0 * np.linalg.qr(rng.normal(size=(3, 3)))[0]
        cell *= np.cbrt(atoms * rng.uniform(12.0, 30.0) / abs(np.linalg.det(cell)))
        pbc = rng.random(3) < 0.7
        positions = rng.uniform(-1, 2, size=(atoms, 3)) @ cell
        structure = Structure(rng.choice(numbers, atoms), positions, cell * pbc[:, None], pbc)
        distance = np.linalg.norm(build(structure, 4.6).vector, axis=1)
        if distance.min(initial=9.0) > 0.8:
            return structure


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("count", ELEMENTS)
def test_rows_equal_the_oracles_on_random_structures(isa, count):
    """From one atom to several blocks of lanes, with one and more threads."""
    model = _model(ELEMENTS[count], 3, 7.0 if count == 1 else 5.0)
    tables = lower(model)
    rng = np.random.default_rng(40 + count)
    for atoms in (1, 2, 3, 4, 5, 8, 9, 17, 31):
        structure = _random_structure(rng, model.numbers, atoms)
        expected = _oracle(tables, structure)
        for threads in (1, 2, 3):
            # The library's own entry: the wrapper gives small structures one thread.
            builder = NativeRowBuilder(tables, 1, isa)
            out = np.full((3 * atoms + 7, tables.functions), np.nan, order="F")
            species = species_indices(model.numbers, structure.numbers).astype(np.int32)
            builder._handle.fill(
                structure.positions,
                species,
                structure.cell,
                structure.pbc.astype(np.int32),
                threads,
                out,
                0,
                1,
                3 * atoms + 1,
            )
            got = Rows(out[0], out[1:-6], out[-6:])
            _assert_same(got, expected, f"{count} elements, {isa}, {threads} threads, {atoms}")


@pytest.mark.parametrize(
    ("order", "degree"), [(1, 8.0), (2, 8.0), (4, 9.0), (5, 8.5), (6, 8.0)], ids=lambda x: str(x)
)
@pytest.mark.parametrize("formulation", ["self-interaction", "canonical"])
def test_rows_equal_the_oracles_at_every_order(order, degree, formulation):
    if formulation == "canonical":
        degree -= 1.0
    model = _model(("Si",), order, degree, wl=1.0, formulation=formulation)
    tables = lower(model)
    structure = _random_structure(np.random.default_rng(order), (14,), 11)
    where = f"{formulation}, order {order}, {tables.functions} functions"
    _assert_same(_native(tables, structure), _oracle(tables, structure), where)


@pytest.mark.parametrize(
    "elements, degree, side",
    [(("Si",), 8.0, 4), (("Cu", "Ni"), 10.0, 7)],
    ids=["small matrix", "large matrix"],
)
def test_rows_equal_the_oracles_when_force_rows_take_several_rounds(elements, degree, side):
    # More than 1 MB of finished atoms where the force rows are less than that, and 16 MB.
    model = _model(elements, 3, degree)
    tables = lower(model)
    rng = np.random.default_rng(side)
    cell = 2.1 * side * (np.eye(3) + rng.normal(scale=0.05, size=(3, 3)))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3) / side
    positions = sites @ cell + rng.normal(scale=0.1, size=sites.shape)
    numbers = rng.choice(model.numbers, len(sites))
    structure = Structure(numbers, positions, cell, np.ones(3, bool))
    expected = _oracle(tables, structure)
    for threads in (1, 2):
        _assert_same(_native(tables, structure, threads), expected, f"{threads} threads")


def test_only_the_rows_asked_for_are_written():
    tables = lower(_model(("O", "Si"), 2, 6.0))
    builder = NativeRowBuilder(tables)
    structure = _random_structure(np.random.default_rng(3), (8, 14), 7)
    whole = _rows(builder, structure)
    parts = {"energy": whole.energy[None], "forces": whole.forces, "virial": whole.virial}
    for chosen in (
        ("energy",),
        ("forces",),
        ("virial",),
        ("energy", "virial"),
        ("forces", "energy"),
    ):
        expected = np.concatenate([parts[q] for q in chosen])
        out = np.full(expected.shape, np.nan, order="F")
        builder.fill(structure, chosen, out)
        scale = np.abs(whole.forces).max()
        np.testing.assert_allclose(out, expected, atol=1e-13 * scale, err_msg=str(chosen))


def test_the_same_number_of_threads_gives_the_same_bits():
    tables = lower(_model(("O", "Si"), 3, 5.0))
    structure = _random_structure(np.random.default_rng(5), (8, 14), 60)
    builder = NativeRowBuilder(tables, 3)
    first = _rows(builder, structure)
    for _ in range(5):
        again = _rows(builder, structure)
        for name in ALL:
            np.testing.assert_array_equal(getattr(again, name), getattr(first, name))


def test_one_builder_serves_several_callers_at_once():
    tables = lower(_model(("O", "Si"), 3, 5.0))
    rng = np.random.default_rng(7)
    structures = [_random_structure(rng, (8, 14), int(rng.integers(1, 20))) for _ in range(40)]
    builder = NativeRowBuilder(tables)
    alone = [_rows(builder, s).forces for s in structures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda s: _rows(builder, s), structures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other.forces)


def test_the_environment_variable_forces_an_instruction_set(monkeypatch):
    tables = lower(_model(("Si",), 2, 5.0))
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", "baseline")
    assert NativeRowBuilder(tables).instruction_set == "baseline"
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", "avx9000")
    with pytest.raises(InputError, match="avx9000 is not available here; expected one of"):
        NativeRowBuilder(tables)


def test_what_has_no_rows_is_refused():
    linear = _model(("Si",), 2, 5.0)
    tables = lower(linear)
    embedding = Embedding("FinnisSinclairShiftedScaled", (1.0,), (0.5,))
    nonlinear = lower(replace(linear, nonlinear=Nonlinear((embedding,))))
    with pytest.raises(InputError, match="nonlinear model has no design matrix"):
        NativeRowBuilder(nonlinear)
    vector = resolve(BasisSpec(("Si",), order=2, degree=5.0, total_l=1, parity=-1))
    with pytest.raises(InputError, match="only true scalars"):
        NativeRowBuilder(lower(vector))
    with pytest.raises(InputError, match="threads: expected 1 or more"):
        NativeRowBuilder(tables, 0)
    builder = NativeRowBuilder(tables)
    with pytest.raises(InputError, match="atoms 0 and 1 sit at the same point"):
        _rows(builder, Structure([14, 14], np.zeros((2, 3))))
    with pytest.raises(InputError, match="are 0.05.* A apart; this model's tables begin at 0.1"):
        _rows(builder, Structure([14, 14], [[0, 0, 0], [0, 0, 0.05]]))
    with pytest.raises(InputError, match="atom 0 is N, which this model does not know"):
        _rows(builder, Structure([7], [[0, 0, 0]]))
    pair = Structure([14, 14], [[0, 0, 0], [0, 0, 2.0]])
    for bad in (
        np.empty((13, tables.functions)),
        np.empty((12, tables.functions), order="F"),
        np.empty((13, tables.functions + 1), order="F"),
    ):
        with pytest.raises(InputError, match="expected shape .* in Fortran order"):
            builder.fill(pair, ALL, bad)
    # A builder that has refused still works.
    _assert_same(_rows(builder, pair), _oracle(tables, pair), "after refusals")


def test_a_refusal_is_the_same_for_every_number_of_threads():
    """One of them fails while the others work: none may be waited for that has left."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSED], timeout=120, capture_output=True, text=True, check=True
    )
    alone, *others = done.stdout.splitlines()
    assert re.fullmatch("atoms 20[01] and 20[01] are 0.05.* A apart; this model's .*", alone)
    assert others == [alone] * 30


REFUSED = """
import numpy as np
from acepot import BasisSpec, Model, Structure
from acepot.basis.choices import resolve
from acepot.basis.selection import basis_size
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.lowering import lower

spec = resolve(BasisSpec(("Si",), order=2, degree=6.0, r0=2.3, cutoff=4.5))
tables = lower(Model(spec, np.zeros(basis_size(spec)["total"]), np.zeros(1)))
sites = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3)
positions = 2.7 * sites + np.random.default_rng(0).normal(scale=0.05, size=sites.shape)
positions[200] = positions[201] + [0.05, 0, 0]
structure = Structure([14] * 216, positions, 16.2 * np.eye(3), True)
out = np.empty((648, tables.functions), order="F")
for threads in (1, *range(2, 5)) + (2, 3, 8) * 9:
    try:
        NativeRowBuilder(tables, threads).fill(structure, ("forces",), out)
    except InputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' limit on threads of a user")
def test_where_no_threads_can_be_started_fewer_work():
    done = subprocess.run(
        [sys.executable, "-c", NO_THREADS], timeout=120, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["refused", "same"]


NO_THREADS = """
import os, resource, threading
import numpy as np
from acepot import BasisSpec, Model, Structure
from acepot.basis.choices import resolve
from acepot.basis.selection import basis_size
from acepot.evaluate.native import NativeRowBuilder
from acepot.lowering import lower

spec = resolve(BasisSpec(("Si",), order=2, degree=6.0, r0=2.3, cutoff=4.5))
tables = lower(Model(spec, np.zeros(basis_size(spec)["total"]), np.zeros(1)))
sites = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3)
positions = 2.7 * sites + np.random.default_rng(0).normal(scale=0.05, size=sites.shape)
structure = Structure([14] * 216, positions, 16.2 * np.eye(3), True)
alone, several = (np.empty((648, tables.functions), order="F") for _ in range(2))
NativeRowBuilder(tables, 1).fill(structure, ("forces",), alone)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
if os.getuid() == 0:
    os.setuid(65534)  # the limit does not hold for root
try:
    threading.Thread(target=print).start()
except RuntimeError:
    print("refused")
NativeRowBuilder(tables, 13).fill(structure, ("forces",), several)
print("same" if np.abs(several - alone).max() < 1e-12 * np.abs(alone).max() else "different")
"""


def test_impossible_numbers_of_threads_are_refused():
    tables = lower(_model(("Si",), 2, 5.0))
    pair = Structure([14, 14], [[0, 0, 0], [0, 0, 2.0]])
    out = np.empty((6, tables.functions), order="F")
    for threads in (-1, 0, 5000):
        with pytest.raises(ValueError, match=f"threads: expected 1 to 4096, got {threads}"):
            NativeRowBuilder(tables)._handle.fill(
                pair.positions,
                np.zeros(2, np.int32),
                pair.cell,
                pair.pbc.astype(np.int32),
                threads,
                out,
                -1,
                0,
                -1,
            )


@pytest.mark.parametrize("isa", instruction_sets())
def test_large_l_equals_the_oracle_up_to_the_limit(isa):
    """Rows and evaluation take the same l: that of `most_l`, which is refused beyond."""
    rng = np.random.default_rng(14)
    for l in (9, 13, 14, 17, most_l()):  # noqa: E741 - the field's own symbol
        chosen = (
            ChosenFunction("Si", ("Si",), (2,), (0,)),
            ChosenFunction("Si", ("Si", "Si"), (1, 2), (l, l)),
            ChosenFunction("Si", ("Si", "Si"), (1, 1), (1, 1)),
        )
        model = _model(("Si",), 2, 5.0, functions=chosen)
        tables = lower(model)
        structure = _random_structure(rng, (14,), 9)
        where = f"l = {l}, {isa}"
        _assert_same(_native(tables, structure, 1, isa), _oracle(tables, structure), where)
        (got,) = require(NativeEvaluator(tables, 1, isa).evaluate([structure]))
        (expected,) = require(ReferenceEvaluator(tables).evaluate([structure]))
        for name in ("energies", "forces", "virials"):
            a, b = getattr(got, name), getattr(expected, name)
            scale = max(np.abs(expected.virials).max(), 1.0)
            assert np.abs(a - b).max() < 1e-11 * scale, f"{where}: {name}"
    beyond = most_l() + 1
    chosen = (ChosenFunction("Si", ("Si", "Si"), (1, 1), (beyond, beyond)),)
    tables = lower(_model(("Si",), 2, 5.0, functions=chosen))
    for make in (NativeEvaluator, NativeRowBuilder):
        with pytest.raises(InputError, match=f"l from 0 to {most_l()} is supported, got {beyond}"):
            make(tables)


def test_tables_whose_functions_do_not_fit_are_refused():
    from acepot._native import RowBuilder

    tables = lower(_model(("Si",), 2, 5.0))
    products = tables.products[0]
    for change, message in (
        ({"function": products.function + tables.functions}, "impossible coefficient"),
        ({"term": products.term - 1}, "impossible coefficient"),
        ({"real": products.real[:-1]}, "different lengths"),
        ({"real": products.real * np.inf}, "not finite"),
    ):
        damaged = replace(tables, products=(replace(products, **change),))
        with pytest.raises(ValueError, match=message):
            RowBuilder(table_bytes(damaged), "baseline")
    with pytest.raises(ValueError, match="functions"):
        RowBuilder(table_bytes(replace(tables, sizes=(0,))), "baseline")


def test_damaged_tables_never_crash_the_row_builder():
    from acepot._native import RowBuilder

    data = table_bytes(lower(_model(("O", "Si"), 2, 4.0)))
    data = data[:8] + (1).to_bytes(8, "little") + data[24:]  # the form without a checksum
    rng = np.random.default_rng(1)
    at = data.index(b"products0.function")
    refused = 0
    for _ in range(300):
        changed = bytearray(data)
        for place in rng.integers(at, len(data), 3):
            changed[place] = int(rng.integers(256))
        try:
            RowBuilder(bytes(changed), "baseline")
        except ValueError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("isa", instruction_sets())
def test_tables_that_no_function_reads_are_no_fault(isa: str) -> None:
    """A radial table with a reach of its own, and nothing made of it: once a segmentation fault."""
    pair = Pair(degree=3, cutoff=4.2)
    spec = resolve(BasisSpec(("Si",), order=2, degree=4.0, cutoff=3.6, pair=pair))
    tables = lower(Model(spec, np.ones(spec.expansion().size), np.zeros(1)))
    first, *rest = tables.radial
    assert rest and first.end.max() != rest[0].end.max()
    channels = first.coefficients.shape[-1]
    others = sum(one.coefficients.shape[-1] for one in rest)
    # The channels of the other tables are now further ones of the first, which reaches less far.
    wide = np.take(first.coefficients, np.arange(channels + others) % channels, axis=-1)
    unread = replace(tables, radial=(replace(first, coefficients=wide), *rest))
    structure = Structure([14] * 3, [[0, 0, 0], [2.3, 0.2, 0.1], [0.4, 2.1, 1.3]])
    _assert_same(_native(unread, structure, 1, isa), _oracle(unread, structure), isa)
