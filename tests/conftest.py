"""What tests of several folders share: structures, models of every construction path, rotations.

Fixtures only, because test files are not packages. Structures are triclinic and asymmetric on
purpose: cubic symmetric ones hide transposes and signs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope, RepulsiveEnvelope, ShiftedEnvelope
from acepot.basis.expansion import Expansion
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.family import Radial
from acepot.basis.harmonics import real_harmonics
from acepot.basis.pace_family import ChebExpCos, ChebPow, SBessel
from acepot.basis.radial import Jacobi, Legendre, Orthonormal
from acepot.basis.spec import BasisSpec
from acepot.basis.species import species_indices
from acepot.basis.transform import Agnesi, Identity, Morse, PolynomialTransform
from acepot.evaluate.protocol import Result, RowBuilder, require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.neighbours import Edges, build
from acepot.structure import Structure
from acepot.tables import Tables

# ------------------------------------------------------------------ surroundings


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the exhaustive versions."""
    config.addinivalue_line("markers", "slow: exhaustive versions, run by `make test-slow`")


@pytest.fixture(scope="session", autouse=True)
def expansion_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this run's own: tests neither read nor fill the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACEPOT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"reference data not present at {folder}")
    return folder


# ------------------------------------------------------------------ construction paths

TRANSFORMS = {
    "agnesi24": Agnesi(2.0, 4.0),
    "agnesi22": Agnesi(2.0, 2.0),
    "agnesi13": Agnesi(1.0, 3.0),
    "polynomial": PolynomialTransform(2.0, offset=1.0),
    "morse": Morse(1.7),
    "identity": Identity(),
}

NO_PAIR = Pair(degree=0)

SI = {"elements": ("Si",), "r0": 2.1, "cutoff": 3.8}
OSI = {
    "elements": ("Si", "O"),
    "r0": {"Si-Si": 2.2, "O-Si": 1.7, "default": 1.9},
    "cutoff": {"Si-Si": 3.8, "O-Si": 3.4, "Si-O": 3.6, "O-O": 3.2},
}
HOSI = {"elements": ("H", "O", "Si"), "cutoff": 3.6}
HCNO = {"elements": ("H", "C", "N", "O"), "r0": 1.3, "cutoff": 3.4}

#: Every cut-off above: structures keep their distances away from these, so that finite
#: differences do not step over the kink that a cut-off is.
CUTOFFS = (3.2, 3.4, 3.6, 3.8, 4.2)

CHOSEN = (
    ChosenFunction("Si", ("O",), (2,), (0,)),
    ChosenFunction("Si", ("O", "Si"), (1, 3), (2, 2)),
    ChosenFunction("Si", ("O", "O", "Si"), (1, 2, 1), (1, 2, 1)),
)


def _polynomial_paths() -> dict[str, dict]:
    """Every polynomial family with every transform, cheap."""
    return {
        f"{family}-{name}": SI
        | {
            "order": 2,
            "degree": 5,
            "radial": Radial.kinds[family](transform=transform),
            "pair": Pair(degree=3),
        }
        for family in ("orthonormal", "jacobi", "legendre")
        for name, transform in TRANSFORMS.items()
    }


def _paths() -> dict[str, dict]:
    exp_cos = ChebExpCos(exponent=2.3)
    power = ChebPow(exponent=2.0)
    bessel = SBessel()
    canonical = {"formulation": "canonical"}
    extended = {"extend_lower_orders": True}
    return _polynomial_paths() | {
        "cheb_exp_cos": SI | {"order": 3, "degree": 6, "radial": exp_cos},
        "cheb_exp_cos-wide-window": SI
        | {"order": 2, "degree": 5, "radial": replace(exp_cos, smoothing=1.1)},
        "cheb_pow": SI | {"order": 3, "degree": 6, "radial": power},
        "cheb_pow-linear": SI | {"order": 2, "degree": 6, "radial": replace(power, exponent=1.0)},
        # Infinite curvature at the cut-off: knots are not equidistant.
        "cheb_pow-curved": SI | {"order": 3, "degree": 6, "radial": replace(power, exponent=1.3)},
        "sbessel": SI | {"order": 3, "degree": 6, "radial": bessel},
        "envelope-r": SI
        | {
            "order": 2,
            "degree": 5,
            "radial": Legendre(envelope=RepulsiveEnvelope(2)),
        },
        "envelope-r_shifted": SI
        | {
            "order": 2,
            "degree": 5,
            "radial": Legendre(envelope=ShiftedEnvelope(1)),
        },
        "envelope-one-sided": SI
        | {"order": 3, "degree": 6, "radial": Orthonormal(envelope=PolynomialEnvelope(0, 3))},
        "inner-cutoff": SI
        | {
            "order": 3,
            "degree": 6,
            "inner": 1.6,
            "radial": Orthonormal(
                transform=TRANSFORMS["polynomial"], envelope=PolynomialEnvelope(2, 2)
            ),
        },
        "pair-longer": SI | {"order": 2, "degree": 5, "pair": Pair(degree=6, cutoff=4.2)},
        "pair-sbessel": SI | {"order": 2, "degree": 5, "pair": Pair(degree=4, radial=bessel)},
        "order-1": SI | {"order": 1, "degree": 6},
        "order-4": SI | {"order": 4, "degree": 8},
        "order-5": SI | {"order": 5, "degree": 8.5, "wl": 1.0, "pair": NO_PAIR},
        "order-6": SI | {"order": 6, "degree": 8.0, "wl": 1.0, "pair": NO_PAIR},
        "degree-per-order": SI | {"order": 3, "degree": (9, 7, 6), "max_l": 1},
        "canonical-2": SI | canonical | {"order": 2, "degree": 6},
        "canonical-4": SI | canonical | {"order": 4, "degree": 7.5},
        "canonical-5": SI | canonical | {"order": 5, "degree": 7, "wl": 1.0, "pair": NO_PAIR},
        "canonical-sbessel": SI | canonical | {"order": 3, "degree": 6, "radial": bessel},
        "canonical-exp_cos": SI | canonical | {"order": 3, "degree": 6, "radial": exp_cos},
        "extended": SI | extended | {"order": 3, "degree": 5},
        "extended-canonical": SI | extended | canonical | {"order": 3, "degree": 5},
        "extended-sbessel": SI | extended | {"order": 3, "degree": 5, "radial": bessel},
        "two-elements": OSI | {"order": 3, "degree": 6},
        "two-elements-canonical": OSI | canonical | {"order": 3, "degree": 6},
        "two-elements-sbessel": OSI | canonical | {"order": 3, "degree": 5, "radial": bessel},
        "two-elements-cheb_pow": OSI
        | canonical
        | {"order": 2, "degree": 5, "radial": replace(power, exponent=1.5)},
        "two-elements-list": OSI | {"order": 3, "functions": CHOSEN, "pair": NO_PAIR},
        "two-elements-list-pairs": OSI | {"order": 3, "functions": CHOSEN, "pair": Pair(degree=2)},
        "three-elements": HOSI | {"order": 3, "degree": 5},
        "two-elements-inner": OSI
        | {
            "order": 3,
            "degree": 6,
            "inner": {"Si-O": 1.1, "default": 0.0},
            "radial": Jacobi(TRANSFORMS["agnesi22"]),
        },
        "three-elements-sbessel": HOSI | extended | {"order": 3, "degree": 4.5, "radial": bessel},
        "three-elements-exp_cos": HOSI | canonical | {"order": 3, "degree": 4.5, "radial": exp_cos},
        "three-elements-canonical": HOSI | canonical | extended | {"order": 2, "degree": 4},
        "four-elements": HCNO | {"order": 3, "degree": 4.5, "pair": Pair(degree=3)},
        "four-elements-jacobi": HCNO
        | {"order": 4, "degree": 5, "radial": Jacobi(TRANSFORMS["morse"])},
        "four-elements-cheb_pow": HCNO | canonical | {"order": 2, "degree": 5, "radial": power},
        "four-elements-canonical": HCNO | canonical | {"order": 2, "degree": 5},
    }


PATHS = _paths()
EXPLICIT = "explicit products"


@dataclass(frozen=True, eq=False)
class Rows:
    """Design rows of energies of one structure.

    Args:
        energy: shape (K,).
        forces: shape (3n, K).
        virial: shape (6, K).
    """

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


def rows_of(builder: RowBuilder, structure: Structure) -> Rows:
    """All rows of one structure."""
    count = 3 * len(structure)
    out = np.empty((count + 7, builder.tables.functions), order="F")
    builder.fill(structure, ("energy", "forces", "virial"), out)
    return Rows(out[0], out[1 : count + 1], out[count + 1 :])


def site_values(tables: Tables, structure: Structure) -> np.ndarray:
    """Values of the only irrep of some Tables on every atom, shape (n, width, 2L + 1)."""
    (values,) = require(ReferenceEvaluator(tables).values([structure]))[0].values
    return values


@pytest.fixture(scope="session")
def design_rows() -> Callable[[RowBuilder, Structure], Rows]:
    """All design rows of one structure by a row builder."""
    return rows_of


@dataclass(frozen=True, eq=False)
class Case:
    """One construction path with random coefficients of even weight.

    Args:
        name: for messages.
        model: with random coefficients.
        tables: the model lowered.
        evaluator: the reference evaluator.
        structures: by name, made of the model's elements.
    """

    name: str
    model: Model
    tables: Tables
    evaluator: ReferenceEvaluator
    structures: dict[str, Structure]

    def species(self, structure: Structure) -> np.ndarray:
        """Species indices of the atoms."""
        return species_indices(self.model.numbers, structure.numbers)

    def edges(self, structure: Structure) -> Edges:
        """Neighbours within the longest cut-off of the model."""
        return build(structure, float(self.tables.cutoff.max()))

    def compute(self, structure: Structure, *, committee: bool = False) -> Result:
        """Energies, forces and virials."""
        return require(self.evaluator.evaluate([structure], committee=committee))[0]

    def rows(self, structure: Structure) -> Rows:
        """Design-matrix rows."""
        return rows_of(self.evaluator, structure)

    def site_basis(self, structure: Structure) -> np.ndarray:
        """Every function on every atom, shape (n, K, 1)."""
        return site_values(self.tables.basis, structure)


def _explicit_basis() -> ExplicitBasis:
    """Products that no symmetry ties together: invariant under nothing but permutations."""
    radial = tuple(
        tuple(
            Orthonormal().functions(4, 0.0, r0, cutoff)
            for r0, cutoff in (((1.9, 3.2), (1.7, 3.4)), ((1.7, 3.6), (2.2, 3.8)))[centre]
        )
        for centre in range(2)
    )
    pair_family = Legendre(Agnesi(1.0, 3.0), RepulsiveEnvelope(2))
    pair = tuple(tuple(pair_family.functions(2, 0.0, 1.9, 3.4) for _ in range(2)) for _ in range(2))
    products = (
        ExplicitProduct(0, ((1, 2, 0, 0),)),
        ExplicitProduct(0, ((0, 1, 2, -1),)),
        ExplicitProduct(0, ((0, 1, 1, 1), (1, 3, 2, -2))),
        ExplicitProduct(1, ((1, 4, 1, -1), (1, 4, 1, -1), (0, 2, 3, 2))),
        ExplicitProduct(1, ((0, 1, 0, 0), (0, 1, 0, 0), (1, 1, 1, 0), (1, 2, 2, 1))),
    )
    return ExplicitBasis((8, 14), radial, products, pair)


def _balanced(basis: BasisSpec | ExplicitBasis, structures: dict[str, Structure]) -> Model:
    """A model in which every function carries about the same part of the energy."""
    rng = np.random.default_rng(77)
    size = basis.expansion().size
    tables = lower(basis)
    scale = np.zeros(size)
    for name in ("triclinic", "molecule"):
        structure = structures[name]
        values = np.abs(site_values(tables, structure)).max(axis=(0, 2))
        scale = np.maximum(scale, values)
    # A canonical function that too few neighbours leave at zero must not be blown up.
    usual = float(np.median(scale))
    scale = np.where(scale > 1e-3 * usual, scale, usual)
    coefficients = rng.normal(size=size) / scale
    e0 = rng.normal(size=len(basis.numbers))
    committee = rng.normal(size=(2, size)) / scale
    return Model(basis, np.vstack([coefficients, committee])[:, None], e0)


@cache
def _case(name: str) -> Case:
    basis = _explicit_basis() if name == EXPLICIT else resolve(BasisSpec(**PATHS[name]))
    structures = _structures(tuple(basis.numbers))
    model = _balanced(basis, structures)
    tables = lower(model)
    return Case(name, model, tables, ReferenceEvaluator(tables), structures)


@pytest.fixture(scope="session")
def case_named() -> Callable[[str], Case]:
    """A construction path by name."""
    return _case


@pytest.fixture(params=list(PATHS))
def case(request: pytest.FixtureRequest) -> Case:
    """Every construction path whose energies are invariant."""
    return _case(request.param)


@pytest.fixture(params=[*PATHS, EXPLICIT])
def any_case(request: pytest.FixtureRequest) -> Case:
    """Every construction path, with products that only permutations leave unchanged."""
    return _case(request.param)


@dataclass(frozen=True, eq=False)
class SiteBasis:
    """The functions of a basis on one central atom.

    Args:
        spec: the resolved specification.
        expansion: the basis written out.
        evaluator: on tables of the tolerance asked for.
    """

    spec: BasisSpec
    expansion: Expansion
    evaluator: ReferenceEvaluator

    def __call__(self, structure: Structure, atom: int = 0) -> np.ndarray:
        """Values on one atom, shape (K, 2L + 1)."""
        return site_values(self.evaluator.tables, structure)[atom]


@pytest.fixture(scope="session")
def site_basis() -> Callable[..., SiteBasis]:
    """Build the functions of a specification: site_basis(tolerance, **fields of BasisSpec)."""

    def make(tolerance: float, **fields: object) -> SiteBasis:
        spec = resolve(BasisSpec(**fields))
        tables = lower(spec, tolerance=tolerance)
        return SiteBasis(spec, spec.expansion(), ReferenceEvaluator(tables))

    return make


# ------------------------------------------------------------------ structures


def _random_cell(rng: np.random.Generator, volume: float) -> np.ndarray:
    """A skewed cell of the given volume in which no two lengths or angles agree."""
    while True:
        cell = np.diag([1.0, 1.25, 0.8]) + rng.uniform(-0.35, 0.35, (3, 3))
        cell *= np.cbrt(volume / abs(np.linalg.det(cell)))
        if np.linalg.svd(cell)[1][-1] > 0.6 * np.cbrt(volume):
            return cell


def _well_spaced(structure: Structure, shortest: float) -> bool:
    try:
        edges = build(structure, max(CUTOFFS) + 0.1)
    except ValueError:
        return False
    distance = np.linalg.norm(edges.vector, axis=1)
    gap = np.abs(distance[:, None] - np.array(CUTOFFS))
    return distance.min(initial=9.0) > shortest and gap.min(initial=9.0) > 0.015


def _numbers(rng: np.random.Generator, elements: tuple[int, ...], count: int) -> np.ndarray:
    """The elements in turn, shuffled."""
    return rng.permutation(np.resize(rng.permutation(elements), count))


def _draw(
    rng: np.random.Generator,
    name: str,
    elements: tuple[int, ...],
    count: int,
    pbc: tuple[bool, bool, bool],
    volume: float,
    spread: float,
) -> Structure:
    """Random atoms no closer than 1.35 Å; rows of non-periodic directions are zero."""
    while True:
        cell = _random_cell(rng, volume)
        positions = (rng.uniform(0, 1, (count, 3)) * spread) @ cell
        cell = cell * np.array(pbc, dtype=float)[:, None]
        structure = Structure(_numbers(rng, elements, count), positions, cell, pbc, name=name)
        if _well_spaced(structure, 1.35):
            return structure


@cache
def _structures(elements: tuple[int, ...]) -> dict[str, Structure]:
    rng = np.random.default_rng([2024, *elements])
    all_three, none = (True, True, True), (False, False, False)
    drawn = {
        "triclinic": _draw(rng, "triclinic", elements, 5, all_three, 75.0, 1.0),
        "slab": _draw(rng, "slab", elements, 5, (True, False, True), 75.0, 1.0),
        "molecule": _draw(rng, "molecule", elements, 6, none, 75.0, 1.0),
        "tiny cell": _draw(rng, "tiny cell", elements, 2, all_three, 24.0, 1.0),
        "one periodic atom": _draw(rng, "one periodic atom", elements, 1, all_three, 17.0, 1.0),
        "outside the cell": _draw(rng, "outside the cell", elements, 4, all_three, 60.0, 5.0),
    }
    wire = _draw(rng, "wire", elements, 4, (False, True, False), 60.0, 1.0)
    dependent = np.array(wire.cell)
    dependent[[0, 2]] = 2.0 * dependent[1], -0.5 * dependent[1]
    drawn["wire"] = replace(wire, cell=dependent)
    drawn["one atom"] = Structure(_numbers(rng, elements, 1), [[0.3, -0.2, 0.5]], name="one atom")
    drawn["two atoms"] = Structure(
        _numbers(rng, elements, 2), [[0.3, -0.2, 0.5], [1.4, 0.9, -0.6]], name="two atoms"
    )
    return drawn


@pytest.fixture(scope="session")
def structures_of() -> Callable[[tuple[int, ...]], dict[str, Structure]]:
    """Structures of every kind of periodicity made of the given atomic numbers."""
    return _structures


@pytest.fixture(scope="session")
def random_cluster() -> Callable[..., Structure]:
    """A central atom (atom 0) with `count` neighbours at distances drawn from (low, high)."""

    def make(
        rng: np.random.Generator,
        elements: tuple[int, ...],
        count: int,
        low: float,
        high: float,
        centre: int | None = None,
    ) -> Structure:
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        positions = np.zeros((count + 1, 3))
        positions[1:] = direction * rng.uniform(low, high, (count, 1))
        numbers = rng.choice(elements, count + 1)
        if centre is not None:
            numbers[0] = centre
        return Structure(numbers, positions + rng.normal(size=3), name=f"{count} neighbours")

    return make


# ------------------------------------------------------------------ rotations


@pytest.fixture(scope="session")
def rotation() -> Callable[..., np.ndarray]:
    """A random element of O(3): proper, or with determinant -1."""

    def make(rng: np.random.Generator, proper: bool = True) -> np.ndarray:
        q, r = np.linalg.qr(rng.normal(size=(3, 3)))
        q = q * np.sign(np.diag(r))
        return q * (np.linalg.det(q) if proper else -np.linalg.det(q))

    return make


@pytest.fixture(scope="session")
def wigner() -> Callable[[np.ndarray, int], np.ndarray]:
    """The real D^l of a proper rotation, from harmonics of rotated vectors by least squares."""

    def make(q: np.ndarray, l: int) -> np.ndarray:
        unit = np.random.default_rng(5).normal(size=(8 * (2 * l + 1), 3))
        unit /= np.linalg.norm(unit, axis=1)[:, None]
        block = slice(l * l, (l + 1) ** 2)
        before = real_harmonics(unit, l)[0][:, block]
        after = real_harmonics(unit @ q.T, l)[0][:, block]
        return np.linalg.lstsq(before, after)[0].T  # Y(Q r) = D Y(r)

    return make
