"""The compiled evaluator is held to the oracle: every path, instruction set and thread count."""

import copy
import logging
import os
import pickle
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.choices import resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.evaluate.concatenated import concatenated
from acepot.evaluate.native import NativeEvaluator, available_threads, instruction_sets
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.tablebytes import table_bytes
from acepot.lowering import lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.tables import Tables

COPPER = Path(__file__).parents[3] / (
    "shared/data/pace_potentials/cu_pbe_core_rep/Cu-PBE-core-rep.ace"
)
MODELS = sorted((Path(__file__).parents[2] / "models").glob("*/model.acepot"))


def _assert_agree(tables: Tables, structures: list[Structure], isa: str, threads: int, what: str):
    native = NativeEvaluator(tables, threads, isa)
    oracle = ReferenceEvaluator(tables)
    found = require(native.evaluate(structures, committee=tables.members > 1))
    slow = require(oracle.evaluate(structures, committee=tables.members > 1))
    for structure, one, other in zip(structures, found, slow, strict=True):
        where = f"{what}, {isa}, {threads} threads, {structure.name}"
        scale = max(np.abs(other.energies).max(), np.abs(other.forces).max(), 1.0)
        pairs = [("energies", 1e-11), ("forces", 1e-11), ("virials", 1e-11)]
        for name, limit in pairs:
            error = np.abs(getattr(one, name) - getattr(other, name)).max() / scale
            assert error < limit, f"{where}: {name} differ by {error:.1e}"
        if one.committee is not None:
            for name in ("energies", "forces", "virials"):
                gap = np.abs(getattr(one.committee, name) - getattr(other.committee, name)).max()
                assert gap / scale < 1e-9, f"{where}: committee {name} differ by {gap:.1e}"


@pytest.mark.parametrize("isa", instruction_sets())
def test_native_equals_the_oracle_on_every_path(any_case, isa):
    structures = list(any_case.structures.values())
    for threads in (1, 2):
        _assert_agree(any_case.tables, structures, isa, threads, any_case.name)


def _silicon_oxygen(seed: int = 5) -> Model:
    spec = resolve(
        BasisSpec(("O", "Si"), order=3, degree=6.0, r0={"default": 2.0}, cutoff={"default": 3.9})
    )
    rng = np.random.default_rng(seed)
    size = spec.expansion().size
    first, e0, others = (rng.normal(size=shape) for shape in ((1, size), 2, (3, size)))
    return Model(spec, np.concatenate((first, others))[:, None], e0)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("densities", [1, 3, 4, 5, 7, 16])
def test_any_number_of_densities(densities, isa):
    linear = _silicon_oxygen()
    rng = np.random.default_rng(densities)
    exponents = tuple(rng.choice([1.0, 0.5, 0.8, 2.0], densities))
    weights = tuple(rng.normal(size=densities))
    nonlinear = Nonlinear(
        tuple(Embedding(kind, weights, exponents)
              for kind in ("FinnisSinclair", "FinnisSinclairShiftedScaled"))
    )  # fmt: skip
    coefficients = 0.05 * rng.normal(size=(linear.coefficients.shape[2], densities))
    model = Model(linear.basis, coefficients.T[None], linear.e0, nonlinear=nonlinear)
    structures = [_random_structure(rng, 12) for _ in range(6)]
    apart = [s for s in structures if _shortest(s) > 0.5]
    assert len(apart) > 1
    _assert_agree(lower(model), apart, isa, 2, f"{densities} densities")


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("kept", ["all products", "some products of every function"])
@pytest.mark.parametrize("nonlinear", [False, True])
def test_products_that_are_coupled_and_those_that_are_no_invariants(nonlinear, kept, isa):
    """Orders 2 to 5; with some of their products only, functions cannot be recoupled."""
    spec = resolve(
        BasisSpec(("Si",), order=5, degree=(9.0, 8.0, 8.0, 11.0, 6.0), wl=0.7,
                  r0={"default": 2.0}, cutoff={"default": 3.9})
    )  # fmt: skip
    rng = np.random.default_rng(3)
    size = spec.expansion().size
    if nonlinear:
        embedding = Nonlinear(
            (Embedding("FinnisSinclair", (1.0, 0.4, 0.3, 0.2), (1.0, 0.5, 1.0, 2.0)),)
        )
        coefficients = 0.05 * rng.normal(size=(size, 4))
        model = Model(spec, coefficients.T[None], np.zeros(1), nonlinear=embedding)
    else:
        members = rng.normal(size=(2, size))
        first = rng.normal(size=(1, size))
        model = Model(spec, np.concatenate((first, members))[:, None], np.zeros(1))
    tables = lower(model)
    assert max(tables.a_l) >= 4
    if kept != "all products":
        products = tables.products[0]
        some = rng.random(products.weights.shape[-1]) < 0.7
        tables = replace(tables, products=(replace(products, weights=products.weights * some),))
    structures = [_random_structure(rng, 8) for _ in range(8)]
    apart = [replace(s, numbers=np.full(len(s), 14)) for s in structures if _shortest(s) > 0.5]
    assert len(apart) > 1
    _assert_agree(tables, apart, isa, 1, kept)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("left_out", [(0,), (1, 3, 5), (0, 1), (6,)])
def test_products_that_leave_out_some_l(left_out, isa):
    """No A of these l is left, below others that are."""
    tables = lower(acepot.load(MODELS[0].parents[1] / "Si-mlearn" / "model.acepot"))
    products = tables.products[0]
    l = np.append(tables.a_l, -1)[np.minimum(products.factors, len(tables.a_l))]  # noqa: E741
    kept = ~np.isin(l, left_out).any(axis=1)
    assert 0 < kept.sum() < len(kept)
    entries = kept[products.term]
    some = replace(
        products,
        factors=products.factors[kept],
        weights=products.weights[:, :, kept],
        function=products.function[entries],
        term=(np.cumsum(kept) - 1)[products.term[entries]].astype(products.term.dtype),
        real=products.real[entries],
        imaginary=products.imaginary[entries],
    )
    rng = np.random.default_rng(31)
    structures = []
    while len(structures) < 12:
        structure = _random_structure(rng, 8)
        if _shortest(structure) > 1.0:
            structures.append(replace(structure, numbers=np.full(len(structure), 14)))
    _assert_agree(replace(tables, products=(some,)), structures, isa, 1, f"without l of {left_out}")


def _shortest(structure: Structure) -> float:
    return float(np.linalg.norm(build(structure, 3.9).vector, axis=1).min(initial=9.0))


def _random_structure(rng: np.random.Generator, atoms: int) -> Structure:
    """Any cell, any periodicity, atoms outside it, closeness as it comes."""
    cell = rng.normal(size=(3, 3)) + 3.0 * np.linalg.qr(rng.normal(size=(3, 3)))[0]
    cell *= rng.uniform(0.6, 2.5)
    pbc = rng.random(3) < 0.6
    positions = rng.uniform(-1, 2, size=(atoms, 3)) @ cell
    return Structure(rng.choice([8, 14], atoms), positions, cell * pbc[:, None], pbc)


@pytest.mark.parametrize("isa", instruction_sets())
def test_native_equals_the_oracle_on_random_structures(isa):
    rng = np.random.default_rng(11)
    tables = lower(_silicon_oxygen())
    found: list[Structure] = []
    while len(found) < 66:  # about 200 over the instruction sets
        structure = _random_structure(rng, int(rng.integers(1, 30)))
        if _shortest(structure) > 0.5:
            found.append(structure)
    _assert_agree(tables, found, isa, 2, "random")


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("file", MODELS, ids=lambda p: p.parent.name)
def test_native_equals_the_oracle_for_every_shipped_model(file, isa, structures_of, random_cluster):
    """On nasty structures and random ones, the committee included."""
    model = acepot.load(file)
    tables = lower(model)
    stretched = [
        replace(s, positions=1.25 * s.positions, cell=1.25 * s.cell, forces=None)
        for s in structures_of(model.numbers).values()
    ]
    rng = np.random.default_rng(21)
    cutoff = float(tables.cutoff.max())
    while len(stretched) < 60:
        cell = rng.uniform(5, 9) * (np.eye(3) + 0.15 * rng.normal(size=(3, 3)))
        positions = rng.uniform(-1, 2, size=(int(rng.integers(1, 12)), 3)) @ cell
        structure = Structure(
            rng.choice(model.numbers, len(positions)), positions, cell, rng.random(3) < 0.7
        )
        if np.linalg.norm(build(structure, cutoff).vector, axis=1).min(initial=9.0) > 1.3:
            stretched.append(structure)
    for threads in (1, 2):
        _assert_agree(tables, stretched, isa, threads, file.parent.name)


def _crystals(model: Model, rng: np.random.Generator) -> Iterator[Structure]:
    """Triclinic, perturbed crystals with a bond length as the model's cut-off lets expect."""
    bond = float(lower(model).cutoff.max()) / 2.8
    sites = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for _ in range(8):
        cell = bond * rng.uniform(0.95, 1.2) * (np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
        positions = sites @ cell + rng.normal(scale=0.05 * bond, size=sites.shape)
        yield Structure(rng.choice(model.numbers, len(sites)), positions, 3 * cell, True)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("which", ["silicon", "oxygen and silicon"])
@pytest.mark.parametrize("precision", ["mixed", "single"])
def test_less_precision_keeps_to_its_stated_error(precision, which, isa, monkeypatch, caplog):
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", isa)
    model = acepot.load(MODELS[0]) if which == "silicon" else _silicon_oxygen()
    with caplog.at_level(logging.INFO):
        single = acepot.Potential(model, threads=1, precision=precision)
    stated = single.precision_loss
    assert stated.precision == precision and f"{precision} precision errs" in str(stated)
    assert str(stated) in caplog.text
    assert (single.single_error is stated) == (precision == "single")
    assert 1e-12 < stated.forces < 1e-3 * stated.scale
    assert stated.forces < stated.largest < 1e-2 * stated.scale
    double = acepot.Potential(model, threads=1)
    structures = list(_crystals(model, np.random.default_rng(8)))
    exact, rounded = double.compute_all(structures), single.compute_all(structures)
    gap = max(abs(a.energy - b.energy) / len(a.energies)
              for a, b in zip(exact, rounded, strict=True))  # fmt: skip
    assert gap < {"mixed": 10, "single": 5}[precision] * stated.energy
    errors = np.concatenate([a.forces - b.forces for a, b in zip(exact, rounded, strict=True)])
    scale = np.sqrt(np.mean(np.concatenate([a.forces for a in exact]) ** 2))
    assert 0 < np.sqrt(np.mean(errors**2)) < 5 * stated.forces * max(1, scale / stated.scale)
    virials = [np.abs(a.virial - b.virial).max() / np.abs(a.virial).max()
               for a, b in zip(exact, rounded, strict=True)]  # fmt: skip
    assert max(virials) < 1e-3
    for result in rounded:  # what one atom feels the others feel, in double precision
        assert np.abs(result.forces.sum(axis=0)).max() < 1e-11 * scale * len(result.forces)


@pytest.mark.parametrize("isa", instruction_sets())
def test_mixed_precision_keeps_the_digits_that_products_would_lose(isa):
    """Of silicon in diamond, and of copper's file whose terms of 1e3 eV cancel, if it is here."""
    rng = np.random.default_rng(5)
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    shifts = np.array(list(np.ndindex(2, 2, 2)))[:, None]

    def crystal(edge: float, basis: np.ndarray, number: int) -> Structure:
        sites = edge * (shifts + basis).reshape(-1, 3)
        places = sites + rng.normal(scale=0.06, size=sites.shape)
        return Structure([number] * len(places), places, 2 * edge * np.eye(3), True)

    cases = [(acepot.load(MODELS[0]), crystal(5.43, np.concatenate((corners, corners + 0.25)), 14))]
    if COPPER.exists():
        cases.append((acepot.load(COPPER), crystal(3.63, corners, 29)))
    for model, structure in cases:
        exact, mixed, single = (
            require(NativeEvaluator(lower(model), 1, isa, p).evaluate([structure]))[0]
            for p in ("double", "mixed", "single")
        )
        errors = np.abs(mixed.forces - exact.forces), np.abs(mixed.energies - exact.energies)
        assert 0 < np.sqrt(np.mean(errors[0] ** 2)) < 3e-6 and errors[0].max() < 2e-5
        assert 0 < np.sqrt(np.mean(errors[1] ** 2)) < 1e-5
        assert abs(mixed.energy - exact.energy) < 5e-6 * len(structure)
        lost = np.abs(single.energies - exact.energies)
        assert errors[1].mean() < 0.3 * lost.mean()
    if len(cases) == 2:
        assert errors[1].mean() < 0.02 * lost.mean()
        assert errors[0].mean() < 0.05 * np.abs(single.forces - exact.forces).mean()


def test_choices_an_evaluator_does_not_have_are_refused():
    model = _silicon_oxygen()
    with pytest.raises(InputError, match="device: only the torch evaluator knows 'cuda'"):
        acepot.Potential(model, device="cuda")
    with pytest.raises(InputError, match="threads: of the native evaluator alone"):
        acepot.Potential(model, evaluator="reference", threads=2)
    with pytest.raises(InputError, match="the reference evaluator has no single precision"):
        acepot.Potential(model, evaluator="reference", precision="single")
    with pytest.raises(InputError, match="the reference evaluator has no mixed precision"):
        acepot.Potential(model, evaluator="reference", precision="mixed")
    with pytest.raises(InputError, match="expected double, mixed or single, got 'half'"):
        NativeEvaluator(lower(model), precision="half")
    with pytest.raises(InputError, match="expected double, mixed or single, got 'half'"):
        acepot.Potential(model, precision="half")
    assert acepot.Potential(model).precision_loss is None


def test_one_call_for_many_structures_is_the_same_as_one_each():
    rng = np.random.default_rng(3)
    tables = lower(_silicon_oxygen())
    cell = 5.0 * np.eye(3) + rng.normal(scale=0.2, size=(3, 3))
    grid = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) / 2
    structures = [
        Structure(
            rng.choice([8, 14], 8), grid @ cell + rng.normal(scale=0.1, size=(8, 3)), cell, True
        )
        for _ in range(40)
    ]
    alone = NativeEvaluator(tables, 1)
    together = alone.evaluate(structures)
    shared = NativeEvaluator(tables, 2).evaluate(structures)
    for s, one, two in zip(structures, together, shared, strict=True):
        single = alone.evaluate([s])[0]
        np.testing.assert_array_equal(single.energies, one.energies)
        np.testing.assert_array_equal(single.forces, one.forces)
        # Two threads may share a structure: sums of two parts round differently.
        np.testing.assert_array_equal(single.energies, two.energies)
        np.testing.assert_allclose(single.forces, two.forces, rtol=0, atol=1e-11)


def test_the_same_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(4)
    cell = 14.0 * np.eye(3)
    grid = np.array([[i, j, k] for i in range(6) for j in range(6) for k in range(6)]) / 6
    positions = grid @ cell + rng.normal(scale=0.1, size=(216, 3))
    structure = Structure(rng.choice([8, 14], 216), positions, cell, True)
    native = NativeEvaluator(lower(_silicon_oxygen()), 3)
    first = native.evaluate([structure])[0]
    for _ in range(5):
        again = native.evaluate([structure])[0]
        np.testing.assert_array_equal(first.forces, again.forces)


def test_a_callers_list_with_ghosts_gives_the_same_forces():
    """The atoms of a periodic cell with their images as explicit ghost atoms."""
    model = _silicon_oxygen()
    tables = lower(model)
    structure = _random_structure(np.random.default_rng(8), 12)
    edges = build(structure, 3.9)
    species = species_indices((8, 14), structure.numbers)
    images = edges.shift.any(axis=1)
    ghost = len(structure) + np.cumsum(images) - 1
    positions = np.concatenate(
        (
            structure.positions,
            structure.positions[edges.neighbour[images]] + edges.shift[images] @ structure.cell,
        )
    )
    kinds = np.concatenate((species, species[edges.neighbour[images]])).astype(np.int32)
    neighbours = np.where(images, ghost, edges.neighbour).astype(np.int32)
    native = NativeEvaluator(tables, 1)
    energies, forces, virials = native._handle.evaluate_list(
        positions, kinds, edges.first, neighbours, 2, 1
    )
    folded = forces[0][: len(structure)].copy()
    np.add.at(folded, edges.neighbour[images], forces[0][len(structure) :])
    result = native.evaluate([structure])[0]
    scale = np.abs(result.forces).max()
    np.testing.assert_allclose(energies[0], result.energies, atol=1e-11 * scale)
    np.testing.assert_allclose(folded, result.forces, atol=1e-11 * scale)
    np.testing.assert_allclose(virials[0], result.virials, atol=1e-11 * scale)


def test_several_threads_of_a_program_may_share_an_evaluator():
    tables = lower(_silicon_oxygen())
    rng = np.random.default_rng(17)
    cell = 3.0 * np.eye(3)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    structures = []
    for repeat in (2, 3, 4):
        kept = sites[(sites < repeat).all(axis=1)]
        positions = kept @ cell + rng.normal(scale=0.1, size=kept.shape)
        structures.append(Structure(rng.choice([8, 14], len(kept)), positions, repeat * cell, True))
    native = NativeEvaluator(tables, 1)
    alone = [native.evaluate([s])[0].forces for s in structures]

    def work(k: int) -> bool:
        found = native.evaluate([structures[k % 3]])[0].forces
        return bool(np.array_equal(found, alone[k % 3]))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(300)))


def test_copies_and_pickles_evaluate_the_same():
    structure = _random_structure(np.random.default_rng(9), 5)
    native = NativeEvaluator(lower(_silicon_oxygen()), 1)
    expected = native.evaluate([structure])[0].forces
    for other in (pickle.loads(pickle.dumps(native)), copy.deepcopy(native)):
        np.testing.assert_array_equal(other.evaluate([structure])[0].forces, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bound_evaluator_gives_the_same_bits(threads):
    rng = np.random.default_rng(21)
    potential = Potential(_silicon_oxygen(), threads=threads)
    for atoms in (1, 7, 130):
        structure = _random_structure(rng, atoms)
        bound = potential.bind(structure.numbers, structure.pbc)
        for _ in range(2):
            positions = structure.positions + rng.normal(scale=0.01, size=(atoms, 3))
            moved = replace(structure, positions=positions)
            expected = potential.compute(moved)
            found = bound.compute(positions, structure.cell)
            assert found.energy == expected.energy
            np.testing.assert_array_equal(found.energies, expected.energies)
            np.testing.assert_array_equal(found.forces, expected.forces)
            scale = np.abs(expected.virials).max()
            np.testing.assert_allclose(found.virial, expected.virial, atol=1e-12 * atoms * scale)


def test_results_of_a_bound_evaluator_stay_when_it_is_called_again():
    bound = Potential(_silicon_oxygen(), threads=1).bind([8, 14], False)
    first = bound.compute(np.array([[0, 0, 0], [0, 1.7, 0.2]]), np.zeros((3, 3)))
    kept = [array.copy() for array in first]
    bound.compute(np.array([[0, 0, 0], [0.3, 1.9, 0.2]]), np.zeros((3, 3)))
    for array, copied in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copied)


def test_a_bound_evaluator_checks_what_can_change():
    bound = Potential(_silicon_oxygen()).bind([8, 14], True)
    cell, positions = 4.0 * np.eye(3), np.array([[0, 0, 0], [0, 1.7, 0.2]])
    with pytest.raises(
        InputError, match=r"those of the 2 atoms that were bound, got shape \(3, 3\)"
    ):
        bound.compute(np.zeros((3, 3)), cell)
    for bad in (np.nan, np.inf, -np.inf):
        spoilt = positions.copy()
        spoilt[1, 2] = bad
        with pytest.raises(InputError, match="atom 1 is not at a finite position"):
            bound.compute(spoilt, cell)
        spoilt = cell.copy()
        spoilt[2, 1] = bad
        with pytest.raises(InputError, match="vectors of finite length"):
            bound.compute(positions, spoilt)
    with pytest.raises(InputError, match="same point"):
        bound.compute(np.zeros((2, 3)), cell)
    assert np.isfinite(bound.compute(positions, cell).energy)


def test_what_cannot_be_bound_is_refused():
    potential = Potential(_silicon_oxygen())
    with pytest.raises(InputError, match="atom 1 is Au, which this model does not know"):
        potential.bind([8, 79], False)
    with pytest.raises(InputError, match="at least one atom"):
        potential.bind([], False)
    with pytest.raises(InputError, match=r"pbc: expected shape \(3,\), got \(2,\)"):
        potential.bind([8], [True, False])


def test_the_oracle_can_be_bound_too():
    structure = _random_structure(np.random.default_rng(23), 4)
    potential = Potential(_silicon_oxygen(), "reference")
    expected = potential.compute(structure)
    found = potential.bind(structure.numbers, structure.pbc).compute(
        structure.positions, structure.cell
    )
    assert found.energy == expected.energy
    np.testing.assert_array_equal(found.forces, expected.forces)
    np.testing.assert_array_equal(found.virial, expected.virial)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_copies_of_a_bound_evaluator_evaluate_the_same(twin):
    bound = Potential(_silicon_oxygen(), threads=1).bind([8, 14], False)
    positions = np.array([[0, 0, 0], [0, 1.7, 0.2]])
    expected = bound.compute(positions, np.zeros((3, 3))).forces
    np.testing.assert_array_equal(twin(bound).compute(positions, np.zeros((3, 3))).forces, expected)


def test_the_environment_variable_forces_an_instruction_set(monkeypatch):
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", "baseline")
    assert NativeEvaluator(lower(_silicon_oxygen())).instruction_set == "baseline"
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", "avx9000")
    with pytest.raises(InputError, match="avx9000 is not available here; expected one of"):
        NativeEvaluator(lower(_silicon_oxygen()))


def test_what_cannot_be_evaluated_is_refused():
    native = NativeEvaluator(lower(_silicon_oxygen()), 2)
    with pytest.raises(InputError, match="atoms 0 and 1 sit at the same point"):
        require(native.evaluate([Structure([8, 8], np.zeros((2, 3)))]))
    with pytest.raises(InputError, match="are 0.05.* A apart; this model's tables begin at 0.1"):
        require(native.evaluate([Structure([8, 8], [[0, 0, 0], [0, 0, 0.05]])]))
    for bad in (np.nan, np.inf, 1e12):
        message = _raw(native, [[0, 0, 0], [0, bad, 1.0]], np.eye(3), 0)
        assert "atom 1 is not at a finite position" in message
    assert "span no volume" in _raw(native, [[0, 0, 0]], np.ones((3, 3)), 1)
    with pytest.raises(InputError, match="atom 0 is N, which this model does not know"):
        require(native.evaluate([Structure([7], [[0, 0, 0]])]))
    assert "unknown species" in _raw(native, [[0, 0, 0]], np.eye(3), 0, species=7)


def _raw(
    native: NativeEvaluator, positions: list[list[float]], cell: np.ndarray, pbc: int,
    species: int = 0,
) -> str:  # fmt: skip
    """What the compiled evaluator says of a structure that cannot be evaluated."""
    n = len(positions)
    (failed,) = native._handle.evaluate(
        np.array(positions, dtype=float), np.full(n, species, np.int32), np.array([0, n]),
        cell[None], np.full((1, 3), pbc, np.int32), 1, 1, np.empty((1, n)), None, None, None,
    )  # fmt: skip
    assert failed[0] == 0
    return failed[1]


def test_one_bad_structure_does_not_stop_the_others_of_a_batch():
    """Whatever its place, the others' numbers are those without it, and it says what is wrong."""
    rng = np.random.default_rng(31)
    good = [_random_structure(rng, 6) for _ in range(5)]
    bad = {
        1: Structure([8, 92], [[0, 0, 0], [2, 0, 0]], name="uranium"),
        3: Structure([8, 8], [[0, 0, 0], [0, 0, 0.05]], name="close"),
        6: Structure([14, 14], np.zeros((2, 3)), name="twice"),
    }
    batch = list(good)
    for place, structure in bad.items():
        batch.insert(place, structure)
    native = NativeEvaluator(lower(_silicon_oxygen()), 1)
    results = native.evaluate(batch, committee=True)
    assert [k for k, r in enumerate(results) if r.error is not None] == list(bad)
    assert str(results[1].error).startswith("uranium: atom 1 is U, which this model does not know")
    assert str(results[3].error).startswith("close: atoms ")
    assert np.isnan(results[6].forces).all() and np.isnan(results[6].committee.energies).all()
    sound = [r for r in results if r.error is None]
    for one, other in zip(sound, native.evaluate(good), strict=True):
        np.testing.assert_array_equal(one.forces, other.forces)
    potential = Potential(_silicon_oxygen(), threads=1)
    kept = potential.compute_all(batch, failures="keep")
    assert [r.error is None for r in kept] == [r.error is None for r in results]
    with pytest.raises(InputError, match="uranium: atom 1 is U"):
        potential.compute_all(batch)
    with pytest.raises(InputError, match="failures: expected raise or keep, got 'drop'"):
        potential.compute_all(batch, failures="drop")


def test_tables_of_tensors_have_a_byte_form_that_the_library_does_not_take_for_an_energy(
    structures_of,
):
    spec = resolve(BasisSpec(("Si",), order=2, degree=4.0, wl=1.0, irreps=("0e", "1o", "1e")))
    tables = lower(spec)
    rng = np.random.default_rng(1)
    outputs = tables.read_out(
        [rng.normal(size=(2, o, n)) for o, n in zip((1, 2, 1), tables.sizes, strict=True)]
    )
    for one in (tables, outputs):
        data = table_bytes(one)
        arrays = _arrays(data)
        assert data[8:16] == (4).to_bytes(8, "little")
        np.testing.assert_array_equal(arrays["irreps"], [[0, 1], [1, -1], [1, 1]])
        assert tuple(arrays["sizes"]) == one.sizes and tuple(arrays["outputs"]) == one.outputs
        (products,) = one.products
        for name, field in (
            ("imaginary", "imaginary"), ("real", "real"), ("weights", "weights"),
            ("w_imaginary", "weights_imaginary"), ("factors", "factors"),
        ):  # fmt: skip
            np.testing.assert_array_equal(arrays[f"products0.{name}"], getattr(products, field))
        evaluator, structure = NativeEvaluator(one, 1), structures_of((14,))["slab"]
        for verb in (evaluator.evaluate, evaluator.committee):
            with pytest.raises(InputError, match="only models of true scalars have an energy"):
                verb([structure])
        with pytest.raises(InputError, match="bind: only models of true scalars have an energy"):
            evaluator.bind(np.zeros(1, dtype=int), np.zeros(3, dtype=bool))
        atoms = concatenated(one, [structure])
        energies = np.empty((1, len(structure)))
        said = "these tables are a (basis of 0e, 1o, 1e|model of 10 values a site, of 0e, 1o, 1e);"
        with pytest.raises(ValueError, match=f"outputs: expected|{said}"):
            evaluator._handle.evaluate(*atoms, 1, 1, energies, None, None, None)
    assert outputs.products[0].weights_imaginary.any()


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a byte form, as docs/file_format.md describes it."""
    assert int.from_bytes(data[16:24], "little") == zlib.crc32(data[24:])
    count, at, found = int.from_bytes(data[24:32], "little"), 32, {}
    for _ in range(count):
        name = data[at : at + 24].rstrip(b"\0").decode()
        kind, dimensions = np.frombuffer(data, "<u8", 2, at + 24)
        shape = np.frombuffer(data, "<u8", int(dimensions), at + 40).astype(int)
        at += 40 + 8 * int(dimensions)
        dtype = np.dtype("<f8" if kind == ord("d") else "<i4")
        size = int(shape.prod())
        found[name] = np.frombuffer(data, dtype, size, at).reshape(shape)
        at += size * dtype.itemsize
    assert at == len(data)
    return found


def _without_checksum(data: bytes) -> bytes:
    """The form of older files, which hold the same arrays."""
    return data[:8] + (1).to_bytes(8, "little") + data[24:]


def test_every_damaged_byte_of_tables_is_seen():
    data = table_bytes(lower(_silicon_oxygen()))
    from acepot._native import Evaluator

    rng = np.random.default_rng(7)
    for at in [*range(16, 40), *rng.integers(40, len(data), 150), len(data) - 1]:
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="tables: damaged .* export them again"):
            Evaluator(bytes(changed), "baseline", "double")
    for at in range(16):
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="tables: "):
            Evaluator(bytes(changed), "baseline", "double")
    with pytest.raises(ValueError, match="damaged"):
        Evaluator(data[:-1], "baseline", "double")


def test_tables_without_a_checksum_are_read_as_before():
    from acepot._native import Evaluator

    data = table_bytes(lower(_silicon_oxygen()))
    new, old = (Evaluator(one, "baseline", "double") for one in (data, _without_checksum(data)))
    frozen = Path(__file__).parents[2] / "native" / "tests" / "data" / "linear.tables"
    assert frozen.read_bytes()[8:16] == (1).to_bytes(8, "little")
    Evaluator(frozen.read_bytes(), "baseline", "double")
    assert type(new) is type(old)


def test_a_cutoff_of_next_to_nothing_is_refused():
    """With 5e-324 Å the search for neighbours would not end."""
    from acepot._native import Evaluator

    tables = lower(_silicon_oxygen())
    for tiny in (5e-324, 1e-300, 0.009):
        with pytest.raises(ValueError, match=r"a cut-off is not from 0\.01 to 100 A"):
            Evaluator(table_bytes(replace(tables, cutoff=tables.cutoff * 0 + tiny)), "", "double")


def test_damaged_tables_are_refused():
    """Every truncation and random byte changes: an error or a model, never a crash."""
    data = _without_checksum(table_bytes(lower(_silicon_oxygen())))
    from acepot._native import Evaluator

    rng = np.random.default_rng(0)
    for length in [*range(0, 200, 7), *rng.integers(200, len(data), 60)]:
        with pytest.raises(ValueError, match="tables"):
            Evaluator(data[:length], "baseline", "double")
    refused = 0
    header = 3000  # names and shapes lie between the arrays; most bytes are coefficients
    for _ in range(300):
        changed = bytearray(data)
        for at in rng.integers(0, header, 2):
            changed[at] = int(rng.integers(256))
        try:
            Evaluator(bytes(changed), "baseline", "double")
        except ValueError:
            refused += 1
    assert refused > 50


def test_threads_without_linux_are_the_processors(monkeypatch):
    """os.sched_getaffinity is Linux's alone."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert available_threads() == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert available_threads() == 2


def test_numbers_that_are_not_finite_are_an_error():
    """Coefficients that overflow in a sum: the engines' fast arithmetic cannot tell."""
    model = _silicon_oxygen()
    huge = replace(model, coefficients=np.full_like(model.coefficients[:1], 3e307))
    structure = _random_structure(np.random.default_rng(8), 12)
    evaluator = NativeEvaluator(lower(huge), 1)
    with pytest.raises(InputError, match="the energy of atom 1 is not a finite number"):
        require(evaluator.evaluate([structure]))


def test_lists_that_point_nowhere_are_refused():
    native = NativeEvaluator(lower(_silicon_oxygen()), 1)
    positions = np.array([[0.0, 0, 0], [1.7, 0, 0]])
    species = np.zeros(2, dtype=np.int32)

    def call(first, neighbours, threads=1, outputs=1):
        return native._handle.evaluate_list(
            positions, species, np.array(first), np.array(neighbours, dtype=np.int32), threads,
            outputs,
        )  # fmt: skip

    call([0, 1, 2], [1, 0])
    for first, neighbours, message in (
        ([0, 1, 2], [1, 2], "atom 1 has the neighbour 2"),
        ([0, 1, 2], [1, -1], "atom 1 has the neighbour -1"),
        ([0, 2, 1], [1, 0], "ascend"),
        ([-1, 1, 2], [1, 0], "ascend"),
        ([0, 1, 3], [1, 0], "beyond the neighbours"),
        ([0, 1, 2, 2], [1, 0], "do not fit together"),
    ):
        with pytest.raises(ValueError, match=message):
            call(first, neighbours)
    for threads in (0, -1, 10**6):
        with pytest.raises(ValueError, match="threads: expected"):
            call([0, 1, 2], [1, 0], threads)
    for outputs in (0, -1, 7):
        with pytest.raises(ValueError, match="outputs: expected 1 to 4"):
            call([0, 1, 2], [1, 0], 1, outputs)
