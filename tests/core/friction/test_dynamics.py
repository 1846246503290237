"""Integrators: exact covariances, conserved momentum, dissipation, known averages."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from friction_cases import model, pairs_only, structure
from scipy.linalg import solve_discrete_lyapunov

from acepot.errors import InputError
from acepot.friction import ou
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.langevin import Langevin, Overdamped, drift
from acepot.friction.sigma import Sigma
from acepot.friction.thermostat import FrictionThermostat, StiffFrictionWarning
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN


class Told:
    """Noise that a test chooses: numbers in the order in which they are asked for."""

    def __init__(self, noise: np.ndarray) -> None:
        self.noise, self.at = noise, 0

    def standard_normal(self, shape) -> np.ndarray:
        count = int(np.prod(shape))
        self.at += count
        return self.noise[self.at - count : self.at].reshape(shape)

    def permutation(self, count: int) -> np.ndarray:
        return np.arange(count)


def linear_map(step, size: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A and B of p' = A p + B ξ."""
    a = np.array([step(one, Told(np.zeros(9999))) for one in np.eye(size)]).T
    b = np.array([step(np.zeros(size), Told(one)) for one in np.eye(width)]).T
    return a, b


def steps_of(sigma: Sigma, h: float, kt: float) -> dict:
    """Every form of the O-step as a function of momenta and noise."""
    columns = np.concatenate(sigma.columns(), axis=1)
    return {
        "exact": lambda p, r: ou.exact(columns, p, h, kt, r),
        "cayley": lambda p, r: ou.cayley(columns, p, h, kt, r),
        "sparse": lambda p, r: ou.cayley_sparse(sigma, p.reshape(-1, 3), h, kt, r).ravel(),
        "sweep": lambda p, r: ou.sweep(sigma, p.reshape(-1, 3), h, kt, r).ravel(),
    }


FORMS = [
    ("pair-wise", "vector", "conserved"), ("pair-wise", "matrix", "free"),
    ("on-site", "matrix", "free"), ("column-wise", "matrix", "conserved"),
]  # fmt: skip


@pytest.mark.parametrize("rate", [0.01, 0.9, 44.0, 4372.0])
@pytest.mark.parametrize("form", FORMS)
def test_every_step_keeps_the_law_of_momenta(form, rate):
    sigma = FrictionEvaluator(model(form)).sigma(structure(1, atoms=4))
    h = rate / np.linalg.eigvalsh(sigma.dense())[-1]
    for name, step in steps_of(sigma, h, 0.7).items():
        if name == "sweep" and form[0] == "column-wise":
            continue
        a, b = linear_map(step, 3 * sigma.atoms, sigma.width)
        off = np.abs(0.7 * a @ a.T + b @ b.T - 0.7 * np.eye(len(a))).max() / 0.7
        assert off < (1e-8 if name == "sparse" and rate > 100 else 1e-11), (name, off)


def test_the_exact_step_decays_as_friction_says_and_the_others_for_short_steps():
    sigma = FrictionEvaluator(model(FORMS[1])).sigma(structure(1, atoms=4))
    values, vectors = np.linalg.eigh(sigma.dense())
    off = {}
    for rate in (0.02, 0.01):
        h = rate / values[-1]
        decay = (vectors * np.exp(-values * h)) @ vectors.T
        for name, step in steps_of(sigma, h, 1.0).items():
            a, _ = linear_map(step, len(values), 0)
            off.setdefault(name, []).append(np.abs(a - decay).max())
    assert off["exact"][1] < 1e-14
    for name in ("cayley", "sparse"):  # of third order in h
        assert 7.0 < off[name][0] / off[name][1] < 9.0
    assert 3.5 < off["sweep"][0] / off["sweep"][1] < 4.5  # of second order


@pytest.mark.parametrize("stiffness", [0.1, 0.9])
@pytest.mark.parametrize("form", ["exact", "cayley"])
def test_positions_of_a_harmonic_chain_are_exact_up_to_the_longest_step(form, stiffness):
    """BAOAB with any friction: ⟨q qᵀ⟩ = kT K⁻¹, as long as the step is stable."""
    random, n, kt = np.random.default_rng(2), 6, 0.4
    spring = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    mass = random.uniform(1.0, 3.0, size=n)
    fastest = np.sqrt(np.linalg.eigvals(spring / mass[:, None]).real.max())
    h, columns = stiffness * 2 / fastest, random.normal(size=(n, n)) / np.sqrt(mass)[:, None]

    def step(state: np.ndarray, noise: Told) -> np.ndarray:
        q, p = state[:n], state[n:]
        p = p - h / 2 * spring @ q
        q = q + h / 2 * p / mass
        p = getattr(ou, form)(columns, p / np.sqrt(mass), h, kt, noise) * np.sqrt(mass)
        q = q + h / 2 * p / mass
        return np.concatenate((q, p - h / 2 * spring @ q))

    a, b = linear_map(step, 2 * n, n)
    found = solve_discrete_lyapunov(a, b @ b.T)
    np.testing.assert_allclose(found[:n, :n], kt * np.linalg.inv(spring), rtol=1e-9)


def barrier_force(q: np.ndarray) -> np.ndarray:
    x, y = q.T
    return -np.stack((4 * x * (x * x - 1) + 0.75 * y * y, 3 * (1 + x / 2) * y), 1)


def barrier_energy(q: np.ndarray) -> np.ndarray:
    x, y = q.T
    return (x * x - 1) ** 2 + 1.5 * (1 + x / 2) * y * y


def euler(columns, p, h, kt, random) -> np.ndarray:
    """What must fail."""
    along = np.einsum("bnm,bn->bm", columns, p)
    noise = np.sqrt(2 * kt * h) * random.standard_normal(along.shape)
    return p + np.einsum("bnm,bm->bn", columns, noise - h * along)


def averages(
    form, seed: int = 5, h: float = 0.1, steps: int = 1500, count: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """x², y², xy², U and x > 0 of replicas, and standard errors from them."""
    random, kt, mass = np.random.default_rng(seed), 0.4, np.array([1.0, 2.5])
    q = random.uniform(-2.0, 2.0, size=(400_000, 2)) * [1.0, 1.25]
    kept = random.uniform(size=len(q)) < np.exp(-barrier_energy(q) / kt)
    q = q[kept][:count]
    p, total = random.normal(size=q.shape) * np.sqrt(mass * kt), 0.0
    force = barrier_force(q)
    for number in range(steps):
        p = p + h / 2 * force
        q = q + h / 2 * p / mass
        x, y = q.T
        length = 0.2 + 2 * np.exp(-4 * (x - 0.5) ** 2) + y * y / 2
        angle = 1.3 * x + 0.7 * y
        sigma = np.stack((length * np.cos(angle), length * np.sin(angle)), 1) / np.sqrt(mass)
        p = form(sigma[:, :, None], p / np.sqrt(mass), h, kt, random) * np.sqrt(mass)
        q = q + h / 2 * p / mass
        force = barrier_force(q)
        p = p + h / 2 * force
        if number >= 300:
            x, y = q.T
            total = total + np.stack((x * x, y * y, x * y * y, barrier_energy(q), x > 0), 1)
    each = np.asarray(total) / (steps - 300)
    return each.mean(axis=0), each.std(axis=0) / np.sqrt(len(each))


#: By quadrature.
EXACT = np.array([0.8987, 0.1996, -0.1325, 0.4262, 0.3783])
#: Of BAOAB itself at this step, of second order in it.
BIAS = np.array([0.001, 0.002, 0.003, 0.001, 0.002])


@pytest.mark.parametrize("form", [pytest.param(ou.exact, marks=pytest.mark.slow), ou.cayley])
def test_friction_that_depends_on_positions_leaves_their_law_alone(form):
    found, error = averages(form, steps=700 if form is ou.exact else 1500)
    assert (np.abs(found - EXACT) < 4 * error + BIAS).all(), (found, error)


def test_an_explicit_step_does_not():
    found, error = averages(euler, count=4000)
    assert (np.abs(found - EXACT) > 4 * error + BIAS)[[1, 2, 3]].all(), (found, error)


def springs(at: Structure) -> np.ndarray:
    """Forces of springs of 1 eV/Å² and 1.5 Å between all atoms."""
    away = at.positions[:, None] - at.positions[None]
    r = np.linalg.norm(away, axis=2) + np.eye(len(at))
    return -(((r - 1.5) * (1 - np.eye(len(at))) / r)[:, :, None] * away).sum(axis=1)


def spring_energy(at: Structure) -> float:
    i, j = np.triu_indices(len(at), 1)
    r = np.linalg.norm(at.positions[i] - at.positions[j], axis=1)
    return float(0.5 * np.sum((r - 1.5) ** 2))


def cluster() -> tuple[Structure, np.ndarray]:
    """Five atoms at rest near each other, and their masses in amu."""
    random = np.random.default_rng(3)
    places = np.array([[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0], [0, 0, 1.5], [1.1, 1.1, 1.0]])
    atoms = Structure([1, 29, 29, 1, 29], places + 0.1 * random.normal(size=(5, 3)))
    return atoms, np.array([1.0, 63.5, 63.5, 1.0, 63.5])


@pytest.mark.parametrize("kind", ["exact", "cayley", "sweep"])
def test_momentum_is_conserved(kind, steps=100):
    atoms, mass = cluster()
    thermostat = FrictionThermostat(pairs_only(), kind)
    run = Langevin(springs, thermostat, mass, 1.0, 300.0, np.random.default_rng(4))
    at = run.start(atoms, np.zeros((5, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StiffFrictionWarning)
        for _ in range(steps):
            at = run.step(at)
    size = np.abs(at.momenta).sum()
    assert size > 0 and np.abs(at.momenta.sum(axis=0)).max() < 1e-12 * size


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exact", "cayley", "sweep"])
def test_momentum_is_conserved_for_ten_thousand_steps(kind):
    test_momentum_is_conserved(kind, steps=10_000)


def test_without_temperature_energy_falls_by_the_work_of_friction():
    """dE/dt = -u'ᵀ Γ u', by the trapezoidal rule at two steps and their limit."""
    atoms, mass = cluster()
    thermostat = FrictionThermostat(model(("pair-wise", "matrix", "free")), "exact")
    random = np.random.default_rng(5)
    momenta = 0.05 * random.normal(size=(5, 3)) * np.sqrt(mass)[:, None]
    off = []
    for h in (0.02, 0.01):
        run = Langevin(springs, thermostat, mass, h, 0.0, random)
        at = run.start(atoms, momenta)
        powers, energies = [], []
        for number in range(round(1.2 / h) + 1):
            if number:
                at = run.step(at)
            v = at.momenta / mass[:, None]
            powers.append(AMU * float(np.sum(v * thermostat.sigma(at.structure).friction(v))))
            kinetic = 0.5 * AMU * float(np.sum(mass[:, None] * v**2))
            energies.append(kinetic + spring_energy(at.structure))
        work = h * (sum(powers) - 0.5 * (powers[0] + powers[-1]))
        lost = energies[0] - energies[-1]
        off.append((lost - work) / lost)
    assert lost > 0.02 * energies[0]
    assert abs((4 * off[1] - off[0]) / 3) < 1e-6 and abs(off[1]) < 1e-4, off


def test_steps_that_damp_too_little_are_said():
    atoms, mass = cluster()
    thermostat = FrictionThermostat(pairs_only(), "cayley")
    p = np.zeros((5, 3))
    with pytest.warns(StiffFrictionWarning, match="damps too little"):
        thermostat.step(atoms, p, mass, 1e4, 300.0, np.random.default_rng(0))
    with pytest.raises(InputError, match="friction_step"):
        FrictionThermostat(model(("column-wise", "vector", "conserved")), "sweep")


def test_groups_of_bonds_have_no_atom_in_common():
    random = np.random.default_rng(1)
    bonds = random.integers(0, 30, size=(200, 2))
    bonds = bonds[bonds[:, 0] != bonds[:, 1]]
    groups = ou.matchings(bonds, 30, random)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(bonds)))
    for group in groups:
        assert len(np.unique(bonds[group])) == 2 * len(group)


def two_sites() -> tuple[FrictionEvaluator, Structure]:
    evaluator = FrictionEvaluator(model(("on-site", "matrix", "free"), order=2))
    return evaluator, Structure([1, 29, 29], [[0.0, 0, 0], [1.6, 0.2, 0.1], [0.4, 1.7, -0.2]])


def test_the_divergence_of_the_mobility_is_that_of_finite_differences():
    evaluator, atoms = two_sites()
    h, size = 1e-4, 3 * len(atoms)
    expected = np.zeros(size)
    for one in np.eye(size):
        u = one.reshape(-1, 3)
        both = [
            np.linalg.inv(evaluator.gamma(Structure(atoms.numbers, atoms.positions + s * h * u)))
            for s in (1, -1)
        ]
        expected += (both[0] - both[1]) @ one / (2 * h)
    mobility = np.linalg.inv(evaluator.gamma(atoms))
    found = drift(evaluator, atoms, mobility, np.random.default_rng(0))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_the_estimate_with_a_random_vector_has_that_mean(monkeypatch):
    evaluator, atoms = two_sites()
    mobility = np.linalg.inv(evaluator.gamma(atoms))
    exact = drift(evaluator, atoms, mobility, np.random.default_rng(0))
    monkeypatch.setattr("acepot.friction.langevin._EXACT_DIVERGENCE", 0)

    class Signs:
        def __init__(self, signs) -> None:
            self.signs = signs

        def choice(self, _values, size) -> np.ndarray:
            return np.array(self.signs).reshape(size)

    signs = itertools.product((-1.0, 1.0), repeat=9)
    every = [drift(evaluator, atoms, mobility, Signs(s)) for s in signs]
    np.testing.assert_allclose(np.mean(every, axis=0), exact, atol=1e-11 * np.abs(exact).max())


def test_overdamped_motion_follows_force_drift_and_noise():
    """One step with the noise it is told; a friction without inverse is refused."""
    evaluator, atoms = two_sites()
    run = Overdamped(springs, evaluator, 0.5, 300.0, Told(np.zeros(9)))  # type: ignore[arg-type]
    moved = run.step(atoms).positions - atoms.positions
    kt = BOLTZMANN * 300.0 / AMU
    mobility = np.linalg.inv(evaluator.gamma(atoms))
    expected = mobility @ springs(atoms).ravel() / AMU
    expected += kt * drift(evaluator, atoms, mobility, np.random.default_rng(0))
    np.testing.assert_allclose(moved.ravel(), 0.5 * expected, rtol=1e-8, atol=1e-12)
    with pytest.raises(InputError, match="no inverse"):
        Overdamped(springs, FrictionEvaluator(pairs_only()), 0.5, 300.0, np.random.default_rng(0))
