"""Forces and virials are the derivatives of the energy; rows are the model; sites add up."""

from dataclasses import replace

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure

#: Relative to the largest derivative. Measured: worst 2e-10.
FINITE_DIFFERENCE = 1e-7
#: Rows against evaluate, relative. Measured: worst 2e-13.
ROWS = 1e-11
#: Site functions under rotation, relative to each function's largest value.
EQUIVARIANCE = 1e-10

STEP = 1e-3
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def _slope(function, step: float = STEP):
    """d/dt at 0 from central differences of two step sizes (Richardson)."""
    coarse = (function(step) - function(-step)) / (2 * step)
    fine = (function(step / 2) - function(-step / 2)) / step
    return (4 * fine - coarse) / 3


def _displaced(structure: Structure, step: np.ndarray) -> Structure:
    return replace(structure, positions=structure.positions + step)


def _strained(structure: Structure, strain: np.ndarray) -> Structure:
    change = np.eye(3) + strain
    return replace(structure, positions=structure.positions @ change, cell=structure.cell @ change)


def _force_size(result) -> float:
    """Forces that cancel by symmetry are compared with the pull of single neighbours."""
    return max(np.abs(result.forces).max(), np.abs(result.virials).max() / 1.35, 1e-3)


def _assert_forces(case, structure: Structure, direction: np.ndarray, what: str) -> None:
    result = case.compute(structure)

    def energy(t: float) -> float:
        return case.compute(_displaced(structure, t * direction)).energy

    want, got = -_slope(energy), float((result.forces * direction).sum())
    error = abs(got - want) / _force_size(result)
    assert error < FINITE_DIFFERENCE, f"{case.name}, {what}: {error:.1e}, {got} for {want}"


def _assert_virial(case, structure: Structure, strain: np.ndarray, what: str) -> None:
    result = case.compute(structure)

    def energy(t: float) -> float:
        return case.compute(_strained(structure, t * strain)).energy

    want, got = -_slope(energy), float((result.virial * strain).sum())
    error = abs(got - want) / max(np.abs(result.virials).max(), 1e-3)
    assert error < FINITE_DIFFERENCE, f"{case.name}, {what}: {error:.1e}, {got} for {want}"


def test_forces_are_minus_the_gradient_along_random_directions(any_case):
    rng = np.random.default_rng(11)
    for name, structure in any_case.structures.items():
        direction = rng.normal(size=(len(structure), 3))
        _assert_forces(any_case, structure, direction / np.abs(direction).max(), name)


def test_the_virial_is_minus_the_derivative_with_respect_to_strain(any_case):
    rng = np.random.default_rng(12)
    for name, structure in any_case.structures.items():
        _assert_virial(any_case, structure, rng.uniform(-0.3, 0.3, (3, 3)), name)


def _every_component(case, names: list[str]) -> None:
    for name in names:
        structure = case.structures[name]
        for atom, axis in np.ndindex(len(structure), 3):
            direction = np.zeros((len(structure), 3))
            direction[atom, axis] = 1.0
            _assert_forces(case, structure, direction, f"{name}, atom {atom}, axis {axis}")
        for x, y in np.ndindex(3, 3):
            strain = np.zeros((3, 3))
            strain[x, y] = 0.3
            _assert_virial(case, structure, strain, f"{name}, strain {x}{y}")


@pytest.mark.parametrize(
    "name", ["two-elements-canonical", "order-5", "cheb_exp_cos", "explicit products"]
)
def test_every_component_of_forces_and_virial_is_minus_its_derivative(case_named, name):
    _every_component(case_named(name), ["slab"])


@pytest.mark.slow
def test_every_component_of_forces_and_virial_is_minus_its_derivative_on_all_paths(any_case):
    _every_component(any_case, ["triclinic", "slab", "outside the cell"])


def test_site_energies_have_the_derivatives_that_the_site_virials_hold(any_case):
    """W_i = -dE_i/dε for every atom, not only for their sum."""
    structure = any_case.structures["triclinic"]
    result = any_case.compute(structure)
    strain = np.random.default_rng(13).uniform(-0.3, 0.3, (3, 3))

    def energies(t: float) -> np.ndarray:
        return any_case.compute(_strained(structure, t * strain)).energies

    got = (result.virials * strain).sum(axis=(1, 2))
    error = np.abs(got + _slope(energies)).max() / np.abs(result.virials).max()
    assert error < FINITE_DIFFERENCE, f"{any_case.name}: relative error {error:.1e}"


# ------------------------------------------------------------------ rows and sites


def test_rows_times_coefficients_are_what_evaluate_says(any_case):
    for name, structure in any_case.structures.items():
        result, rows = any_case.compute(structure), any_case.rows(structure)
        c = any_case.model.coefficients[0, 0]
        e0 = any_case.model.e0[any_case.species(structure)].sum()
        virial = np.array([result.virial[x, y] for x, y in VOIGT])
        energy_size = max(np.abs(rows.energy * c).sum(), 1e-3)
        pairs = {
            "energy": (rows.energy @ c, result.energy - e0, energy_size),
            "forces": (rows.forces @ c, result.forces.ravel(), _force_size(result)),
            "virial": (rows.virial @ c, virial, max(np.abs(result.virials).max(), 1e-3)),
        }
        for quantity, (got, want, size) in pairs.items():
            error = np.abs(got - want).max() / size
            assert error < ROWS, f"{any_case.name}, {name}, {quantity}: {error:.1e}"


def test_site_functions_add_up_to_the_energy_rows(any_case):
    for name, structure in any_case.structures.items():
        sites = any_case.site_basis(structure)[..., 0]
        rows = any_case.rows(structure).energy
        size = max(np.abs(sites).sum(axis=0).max(), 1e-3)
        error = np.abs(sites.sum(axis=0) - rows).max() / size
        assert error < 1e-13, f"{any_case.name}, {name}: {error:.1e}"
        energies = any_case.compute(structure).energies
        e0 = any_case.model.e0[any_case.species(structure)]
        c = any_case.model.coefficients[0, 0]
        size = max(np.abs(sites * c).sum(axis=1).max(), 1e-3)
        error = np.abs(sites @ c + e0 - energies).max() / size
        assert error < ROWS, f"{any_case.name}, {name}, site energies: {error:.1e}"


def test_committee_members_are_models_of_their_own(any_case):
    structure = any_case.structures["slab"]
    members = any_case.compute(structure, committee=True).committee
    for number, coefficients in enumerate(any_case.model.committee):
        model = replace(any_case.model, coefficients=coefficients)
        (alone,) = require(ReferenceEvaluator(lower(model)).evaluate([structure]))
        size = max(np.abs(alone.energies).max(), 1e-3)
        what = f"{any_case.name}, member {number}"
        assert abs(members.energies[number] - alone.energy) < 1e-11 * size, what
        difference = np.abs(members.forces[number] - alone.forces).max()
        assert difference < 1e-11 * _force_size(alone), what
        difference = np.abs(members.virials[number] - alone.virial).max()
        assert difference < 1e-11 * np.abs(alone.virials).max(), what


def test_results_do_not_depend_on_how_atoms_are_blocked(case_named, monkeypatch):
    """Large structures are evaluated a few atoms at a time."""
    for name in ("two-elements-canonical", "order-4"):
        case = case_named(name)
        structure = case.structures["triclinic"]
        whole, rows = case.compute(structure), case.rows(structure)
        sites = case.site_basis(structure)
        with monkeypatch.context() as patch:
            patch.setattr("acepot.evaluate.reference.one_particle._BLOCK", 1)
            single, single_rows = case.compute(structure), case.rows(structure)
            single_sites = case.site_basis(structure)
        for a, b in (
            (whole.energies, single.energies),
            (whole.forces, single.forces),
            (whole.virials, single.virials),
            (rows.energy, single_rows.energy),
            (rows.forces, single_rows.forces),
            (rows.virial, single_rows.virial),
            (sites, single_sites),
        ):
            assert np.abs(a - b).max() < 1e-12 * np.abs(a).max(), name


# ------------------------------------------------------------------ functions of total L > 0

VECTORS = {
    "one element": {"elements": ("Si",), "r0": 2.1, "cutoff": 3.8, "order": 3, "degree": 7.0},
    "two elements": {
        "elements": ("Si", "O"),
        "r0": {"Si-Si": 2.2, "O-Si": 1.7, "default": 1.9},
        "cutoff": {"Si-Si": 3.8, "O-Si": 3.4, "Si-O": 3.6, "O-O": 3.2},
        "order": 3,
        "degree": 6.0,
    },
    "order 4": {"elements": ("Si",), "r0": 2.1, "cutoff": 3.8, "order": 4, "degree": 8.0},
}


@pytest.mark.parametrize("formulation", ["self-interaction", "canonical"])
@pytest.mark.parametrize("elements", list(VECTORS))
@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("total_l", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_site_functions_of_total_l_turn_with_wigner_d(
    site_basis, structures_of, random_cluster, rotation, wigner, total_l, parity, elements,
    formulation,
):  # fmt: skip
    fields = VECTORS[elements] | {"wl": 1.0}
    functions = site_basis(
        1e-8,
        **fields | {"degree": fields["degree"] + (total_l > 2)},
        total_l=total_l,
        parity=parity,
        formulation=formulation,
    )
    orders = functions.expansion.labels.order
    assert len(set(orders)) >= 2, "the test needs functions of several orders"
    rng = np.random.default_rng(14)
    numbers = tuple(functions.spec.numbers)
    seen = np.zeros(len(orders), dtype=bool)
    for structure in (
        structures_of(numbers)["triclinic"],
        random_cluster(rng, numbers, 14, 1.2, 2.4),
    ):
        name = structure.name
        before = np.array([functions(structure, i) for i in range(len(structure))])
        size = np.abs(before).max(axis=(0, 2))
        usual = np.median(size)
        seen |= size > 1e-6 * usual
        for proper in (True, False):
            q = rotation(rng, proper)
            turned = replace(
                structure, positions=structure.positions @ q.T, cell=structure.cell @ q.T
            )
            after = np.array([functions(turned, i) for i in range(len(structure))])
            d = wigner(q if proper else -q, total_l) * (1 if proper else parity)
            scale = np.maximum(size, 1e-3 * usual)[:, None]
            error = (np.abs(after - before @ d.T) / scale).max()
            what = f"{name}, {'rotation' if proper else 'reflection'}"
            assert error < EQUIVARIANCE, f"{what}: {error:.1e}"
        mirrored = replace(structure, positions=-structure.positions, cell=-structure.cell)
        after = np.array([functions(mirrored, i) for i in range(len(structure))])
        error = (np.abs(after - parity * before) / np.maximum(size, 1e-3 * usual)[:, None]).max()
        assert error < EQUIVARIANCE, f"{name}, inversion: {error:.1e}"
    assert seen.mean() > 0.95, "the structures leave too many functions at zero"


@pytest.mark.parametrize(
    "fields",
    [
        {"order": 2, "degree": 5.0, "total_l": 1, "parity": -1},
        {"order": 3, "degree": 9.0, "total_l": 0, "parity": -1},
    ],
    ids=["vectors", "pseudoscalars"],
)
def test_functions_that_are_no_energies_have_site_values_and_no_energy(
    site_basis, structures_of, fields
):
    functions = site_basis(1e-8, elements=("Si",), r0=2.1, cutoff=3.8, wl=1.0, **fields)
    structure = structures_of((14,))["triclinic"]
    assert np.abs(functions(structure)).max() > 1e-6
    with pytest.raises(InputError, match="energies are true scalars"):
        lower(Model(functions.spec, np.ones(functions.expansion.size), np.zeros(1)))
    tables = functions.evaluator.tables.read_out(np.ones((1, 1, functions.expansion.size)))
    evaluator = ReferenceEvaluator(tables)
    with pytest.raises(InputError, match="only models of true scalars have an energy"):
        evaluator.evaluate([structure])
    with pytest.raises(InputError, match="only true scalars have an energy"):
        evaluator.fill(structure, ("energy",), np.empty((1, tables.functions), order="F"))


def test_order_1_functions_of_total_l_are_sums_of_harmonics(site_basis, random_cluster):
    """Known values: B_n^L = Σ_j R_n(r_j) Y_L(r̂_j), in the order m = -L … L."""
    from acepot.basis.harmonics import real_harmonics

    rng = np.random.default_rng(15)
    for total_l in (1, 2, 3):
        functions = site_basis(
            1e-12, elements=("Si",), r0=2.1, cutoff=3.8, order=1, degree=8.0, wl=1.0,
            total_l=total_l, parity=(-1) ** total_l,
        )  # fmt: skip
        spec = functions.spec
        cluster = random_cluster(rng, (14,), 7, 1.2, 3.7)
        vectors = cluster.positions[1:] - cluster.positions[0]
        distance = np.linalg.norm(vectors, axis=1)
        harmonics = real_harmonics(vectors / distance[:, None], total_l)[0]
        count = functions.expansion.size
        radial = spec.radial.functions(count, 0.0, 2.1, 3.8).evaluate(distance).value
        want = radial @ harmonics[:, total_l**2 :]
        np.testing.assert_allclose(functions(cluster), want, atol=1e-11 * np.abs(want).max())


def test_an_order_2_pseudovector_is_a_cross_product(site_basis, random_cluster):
    """l = (1, 1) -> L = 1 of different radials is proportional to a × b, component by component."""
    from acepot.basis.choices import ChosenFunction

    functions = site_basis(
        1e-12, elements=("Si",), r0=2.1, cutoff=3.8, order=2, total_l=1, parity=1,
        functions=(ChosenFunction("Si", ("Si", "Si"), (1, 2), (1, 1)),),
    )  # fmt: skip
    vectors = site_basis(
        1e-12, elements=("Si",), r0=2.1, cutoff=3.8, order=1, total_l=1, parity=-1,
        degree=3.0, wl=1.0,
    )  # fmt: skip
    assert functions.expansion.size == 1 and vectors.expansion.size == 2
    rng = np.random.default_rng(16)
    ratios = []
    for _ in range(4):
        cluster = random_cluster(rng, (14,), 5, 1.2, 3.7)
        # m = -1, 0, 1 are y, z, x.
        a, b = vectors(cluster)[:, [2, 0, 1]]
        ratios.append(functions(cluster)[0][[2, 0, 1]] / np.cross(a, b))
    np.testing.assert_allclose(ratios, np.full((4, 3), ratios[0][0]), rtol=1e-9)
    assert abs(ratios[0][0]) == pytest.approx(np.sqrt(0.5), rel=1e-9)
