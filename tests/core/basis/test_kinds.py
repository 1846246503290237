"""Transforms, envelopes and radial families as kinds: refusals, files of before, new ones."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from acepot.basis.choices import ChosenFunction, Pair, resolve
from acepot.basis.envelope import (
    Envelope,
    PolynomialEnvelope,
    RepulsiveEnvelope,
    ShiftedEnvelope,
)
from acepot.basis.family import Radial
from acepot.basis.jet import Array, Jet
from acepot.basis.pace_family import ChebExpCos, ChebPow, SBessel
from acepot.basis.radial import Jacobi, Legendre, Orthonormal
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Agnesi, Identity, Morse, PolynomialTransform, Transform
from acepot.errors import InputError
from acepot.fitting.config import FitConfig
from acepot.model import Model
from acepot.potential import Potential
from acepot.schema import from_mapping, to_mapping, to_toml
from acepot.structure import Structure

# ------------------------------------------------------------------ refusals

#: The same mistake in Python and in TOML: what is made, where it stands in TOML, and the message.
MISTAKES: list[tuple[Callable[[], object], str, str, str]] = [
    (lambda: Agnesi(0.0, 4.0), "basis.radial.transform", "{p = 0.0}", "p: expected more than 0,"),
    (lambda: Agnesi(2.0, 51.0), "basis.radial.transform", "{q = 51.0}",
     "q: expected more than 0, up to 50, got 51.0"),
    (lambda: Agnesi(4.0, 2.0), "basis.radial.transform", "{p = 4.0, q = 2.0}",
     "q: expected q >= p and q (2p - 1) > p, got p = 4.0, q = 2.0"),
    (lambda: Agnesi(1.0, 1.0), "basis.pair.radial.transform", "{q = 1.0}",
     "q: expected q >= p and q (2p - 1) > p, got p = 1.0, q = 1.0"),
    (lambda: Agnesi("2"), "basis.radial.transform", '{p = "2"}', "p: expected number, got '2'"),
    (lambda: PolynomialTransform(2.0, -1.0), "basis.radial.transform",
     '{kind = "polynomial", offset = -1.0}', "offset: expected 0 to 50, got -1.0"),
    (lambda: Morse(-1.0), "basis.radial.transform", '{kind = "morse", p = -1.0}',
     "p: expected more than 0, up to 50, got -1.0"),
    (lambda: PolynomialEnvelope(-1, 2), "basis.radial.envelope", "{inner = -1}",
     "inner: expected 0 to 12, got -1"),
    (lambda: PolynomialEnvelope(2, 0), "basis.radial.envelope", "{outer = 0}",
     "outer: expected 1 to 12, got 0"),
    (lambda: PolynomialEnvelope(2, 2.5), "basis.radial.envelope", "{outer = 2.5}",
     "outer: expected integer, got 2.5"),
    (lambda: RepulsiveEnvelope(13), "basis.pair.radial.envelope", "{outer = 13}",
     "outer: expected 1 to 12, got 13"),
    (lambda: ShiftedEnvelope(0), "basis.pair.radial.envelope", '{kind = "r_shifted", outer = 0}',
     "outer: expected 1 to 12, got 0"),
    (lambda: Orthonormal(Agnesi(2.0, 2.5)), "basis.radial", "{transform = {q = 2.5}}",
     "transform: agnesi needs q and q - p that are each 0, 1 or at least 2; got p = 2.0, q = 2.5"),
    (lambda: Orthonormal(nodes=0), "basis.radial", "{nodes = 0}",
     "nodes: expected 1 to 100000, got 0"),
    (lambda: Jacobi(envelope=RepulsiveEnvelope(2)), "basis.radial",
     '{family = "jacobi", envelope = {kind = "r"}}',
     "envelope.kind: 'r' needs the family legendre, got 'jacobi'"),
    (lambda: Orthonormal(envelope=RepulsiveEnvelope(2)), "basis.pair.radial",
     '{family = "orthonormal"}', "envelope.kind: 'r' needs the family legendre, got 'orthonormal'"),
    (lambda: Legendre("agnesi"), "basis.pair.radial", '{transform = "agnesi"}',
     "transform: expected table, got 'agnesi'"),
    (lambda: ChebExpCos(0.0), "basis.radial", '{family = "cheb_exp_cos", exponent = 0}',
     "exponent: expected more than 0, got 0.0"),
    (lambda: ChebExpCos(1.0, 1e-9), "basis.radial", '{family = "cheb_exp_cos", smoothing = 1e-9}',
     "smoothing: expected 0 or 0.001 Å to the cut-off, got 1e-09"),
    (lambda: ChebPow(0.5), "basis.radial", '{family = "cheb_pow", exponent = 0.5}',
     "exponent: expected at least 1 (a finite slope at the cut-off), got 0.5"),
    (lambda: Pair(degree=-1), "basis.pair", "{degree = -1}", "degree: expected 0 to 200, got -1"),
    (lambda: Pair(radial="legendre"), "basis.pair", '{radial = "legendre"}',
     "radial: expected table, got 'legendre'"),
    (lambda: BasisSpec(formulation="nonsense"), "basis", '{formulation = "nonsense"}',
     "formulation: expected one of 'self-interaction', 'canonical', got 'nonsense'"),
    (lambda: BasisSpec(parity=3), "basis", "{parity = 3}", "parity: expected one of 1, -1, got 3"),
    (lambda: BasisSpec(order=9), "basis", "{order = 9}", "order: expected 1 to 6, got 9"),
    (lambda: BasisSpec(order=2.0), "basis", "{order = 2.0}", "order: expected integer, got 2.0"),
    (lambda: BasisSpec(total_l=-1), "basis", "{total_l = -1}", "total_l: expected 0 to 12"),
    (lambda: BasisSpec(irreps=("1x",)), "basis", '{irreps = ["1x"]}', "irreps: expected L from 0"),
    (lambda: BasisSpec(irreps=("1o",), constant=True), "basis",
     '{irreps = ["1o"], constant = true}', "constant: the constant function is a scalar"),
    (lambda: BasisSpec(wl=0.0), "basis", "{wl = 0}", "wl: expected a positive number, got 0.0"),
    (lambda: BasisSpec(degree=(1.0, 2.0)), "basis", "{degree = [1, 2]}",
     "degree: expected one number or 3 (one per order), got 2"),
    (lambda: BasisSpec(degree=201.0), "basis", "{degree = 201}", "degree: expected at most 200"),
    (lambda: BasisSpec(max_n=-1), "basis", "{max_n = -1}", "max_n: expected numbers of 0 or more"),
    (lambda: BasisSpec(max_l=41), "basis", "{max_l = 41}", "max_l: expected numbers up to 40"),
    (lambda: BasisSpec(elements=("Sx",)), "basis", '{elements = ["Sx"]}',
     "elements: expected a chemical symbol such as Si, got 'Sx'"),
    (lambda: BasisSpec(radial="sbessel"), "basis", '{radial = "sbessel"}',
     "radial: expected table, got 'sbessel'"),
    (lambda: BasisSpec(cutoff="5"), "basis", '{cutoff = "5"}', "cutoff: expected number or table"),
    (lambda: BasisSpec(functions=(ChosenFunction("Si", ("Si",), (0,), (0,)),)),
     "basis.functions", '[{centre = "Si", elements = ["Si"], n = [0], l = [0]}]',
     "n: expected 1 to 200, got [0]"),
    (lambda: ChosenFunction("Si", ("Si",), (1, 1), (0,)),
     "basis.functions", '[{centre = "Si", elements = ["Si"], n = [1, 1], l = [0]}]',
     "n: expected elements, n and l of one length from 1 to 6, got 1, 2 and 1"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "where", "value", "message"), MISTAKES)
def test_python_and_toml_refuse_the_same_with_the_same_words(
    make: Callable[[], object], where: str, value: str, message: str
) -> None:
    with pytest.raises(InputError) as python:
        make()
    assert str(python.value).startswith(message)
    with pytest.raises(InputError) as toml:
        from_mapping(FitConfig, tomllib.loads(f'data.train = "t.xyz"\n{where} = {value}'))
    entry = "[0]" if where == "basis.functions" else ""
    assert str(toml.value) == f"{where}{entry}.{python.value}"


@pytest.mark.parametrize(
    ("where", "base", "name"),
    [("radial.family", Radial, "nonsense"), ("radial.transform.kind", Transform, "angesi"),
     ("pair.radial.envelope.kind", Envelope, "xx")],
)  # fmt: skip
def test_a_kind_that_nobody_made_is_named_with_those_there_are(
    where: str, base: Any, name: str
) -> None:
    with pytest.raises(InputError) as error:
        from_mapping(BasisSpec, tomllib.loads(f'{where} = "{name}"'))
    known = ", ".join(repr(kind) for kind in base.kinds)
    assert str(error.value).startswith(f"{where}: expected one of {known}, got {name!r}")
    with pytest.raises(TypeError):
        base(name)  # there is no object of no kind


# ------------------------------------------------------------------ files of before

#: As earlier versions wrote them: every key for every kind.
FLAT: dict[str, Any] = {
    "family": "orthonormal", "transform": {"kind": "agnesi", "p": 2.0, "q": 4.0, "offset": 1.0},
    "envelope": {"kind": "x", "inner": 2, "outer": 2}, "nodes": 1000, "exponent": 1.0,
    "smoothing": 0.01,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "radial"),
    [
        ({}, Orthonormal()),
        ({"family": "jacobi", "nodes": -7}, Jacobi()),
        ({"transform": {"kind": "morse", "p": 1.5, "q": 9.9, "offset": 3.0}},
         Orthonormal(Morse(1.5))),
        ({"transform": {"kind": "polynomial", "p": 3.0, "q": 4.0, "offset": 0.5}},
         Orthonormal(PolynomialTransform(3.0, 0.5))),
        ({"transform": {"kind": "identity", "p": 3.0, "q": 4.0, "offset": 0.5}},
         Orthonormal(Identity())),
        ({"family": "legendre", "envelope": {"kind": "r", "inner": 0, "outer": 3}},
         Legendre(Agnesi(), RepulsiveEnvelope(3))),
        ({"family": "sbessel"}, SBessel()),
        ({"family": "cheb_pow", "exponent": 2.0}, ChebPow(2.0)),
        ({"family": "cheb_exp_cos", "exponent": 5.25}, ChebExpCos(5.25, 0.01)),
    ],
)  # fmt: skip
def test_a_table_with_the_keys_of_all_kinds_is_read(
    changes: dict[str, Any], radial: Radial
) -> None:
    spec = from_mapping(BasisSpec, {"radial": FLAT | changes, "pair": {"radial": FLAT | changes}})
    assert spec.radial == spec.pair.radial == radial
    assert from_mapping(BasisSpec, tomllib.loads(to_toml(to_mapping(spec)))) == spec
    assert from_mapping(BasisSpec, to_mapping(spec, omit_defaults=True)) == spec


@pytest.mark.parametrize(
    ("table", "radial"),
    [
        ({"transform": {"kind": "morse"}}, Legendre(Morse(1.0), RepulsiveEnvelope(2))),
        ({"transform": {"kind": "polynomial"}},
         Legendre(PolynomialTransform(1.0, 1.0), RepulsiveEnvelope(2))),
        ({"envelope": {"kind": "x"}}, Legendre(Agnesi(1.0, 3.0), PolynomialEnvelope(0, 2))),
        ({"family": "jacobi", "envelope": {"kind": "x", "outer": 3}},
         Jacobi(Agnesi(1.0, 3.0), PolynomialEnvelope(0, 3))),
        ({"family": "orthonormal", "transform": {"q": 4.0}, "envelope": {"kind": "x"}},
         Orthonormal(Agnesi(1.0, 4.0), PolynomialEnvelope(0, 2), 1000)),
    ],
)  # fmt: skip
def test_another_kind_keeps_what_the_pair_part_sets(table: dict[str, Any], radial: Radial) -> None:
    """The pair part has p = 1, q = 3 by default, whatever the transform."""
    assert from_mapping(BasisSpec, {"pair": {"radial": table}}).pair.radial == radial


def test_a_key_that_no_version_had_is_refused() -> None:
    for table, message in (
        ({"family": "sbessel", "lambda": 1.0}, r"unknown key radial.lambda"),
        ({"transform": {"kind": "identity", "r": 1.0}}, r"unknown key radial.transform.r"),
        ({"envelope": {"kind": "x", "middle": 1}}, r"unknown key radial.envelope.middle"),
    ):
        with pytest.raises(InputError, match=message):
            from_mapping(BasisSpec, {"radial": table})


# ------------------------------------------------------------------ what kinds promise


@pytest.mark.parametrize("kind", list(Envelope.kinds))
def test_envelopes_are_what_they_promise(kind: str) -> None:
    envelope: Any = Envelope.kinds[kind](outer=3)
    r0, cutoff = 2.0, 5.0
    r = Jet.variable(np.array([1e-3, 1e-4, cutoff - 4e-3, cutoff - 2e-3]))
    x = r * (2.0 / cutoff) - 1.0
    value = envelope.factor(r, x, r0, cutoff).value
    assert np.log2(value[2] / value[3]) == pytest.approx(envelope.order, abs=0.01)
    if envelope.repulsion is None:
        assert np.abs(value[:2]).max() < 20.0
    else:
        assert value[1] / value[0] == pytest.approx(10.0**envelope.repulsion, rel=0.01)
    if envelope.powers is not None:
        i, o = envelope.powers
        np.testing.assert_allclose(value, (1 + x.value) ** i * (1 - x.value) ** o, rtol=1e-13)
    assert envelope.vanishes_inside is (kind == "x" and envelope.inner > 0)


# ------------------------------------------------------------------ new kinds


@pytest.fixture
def new_kinds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A transform and a family of this test's own, forgotten afterwards."""
    for base in (Transform, Radial):
        monkeypatch.setattr(base, "kinds", dict(base.kinds))

    @dataclass(frozen=True)
    class Gaussian(Transform, kind="gaussian"):
        """exp(-(r / (width r0))²)."""

        width: float = 1.5

        def check(self) -> None:
            if not 0.1 <= self.width <= 10.0:
                raise InputError(f"width: expected 0.1 to 10, got {self.width}")

        def coordinate(self, r: Jet, inner: float, r0: float) -> Jet:
            s = r / (self.width * r0)
            return (s * s * -1.0).exp()

    @dataclass(frozen=True)
    class Bumps(Radial, kind="bumps"):
        """(1 - (r/rc)²)³ cos(n π r/rc)^power."""

        power: float = 1.0
        envelope_order = 3

        def functions(self, count: int, inner: float, r0: float, cutoff: float) -> BumpFunctions:
            return BumpFunctions(count, cutoff, self.power)

    yield


@dataclass(frozen=True, eq=False)
class BumpFunctions:
    """Functions of the new family."""

    count: int
    cutoff: float
    power: float
    inner: float = 0.0
    zero_inside: bool = False
    breaks: tuple[float, ...] = ()
    seams: tuple[float, ...] = ()

    def evaluate(self, r: Array) -> Jet:
        """As `RadialFunctions` promise."""
        s = Jet.variable(r) / self.cutoff
        window = (1.0 - s * s).power(3.0)
        waves = [((s * (n * np.pi)).cos() + 2.0).power(self.power) for n in range(self.count)]
        return Jet.stack([(wave * window).where(r < self.cutoff, 0.0) for wave in waves])


@pytest.mark.usefixtures("new_kinds")
def test_a_new_transform_and_a_new_family_are_one_class_each(
    structures_of: Callable[..., dict[str, Structure]],
) -> None:
    table = {
        "elements": ["O", "Si"], "order": 3, "degree": 5.0, "cutoff": 3.6, "r0": 1.9,
        "radial": {"family": "jacobi", "transform": {"kind": "gaussian", "width": 1.2}},
        "pair": {"degree": 3, "radial": {"family": "bumps", "power": 2}},
    }  # fmt: skip
    spec = resolve(from_mapping(BasisSpec, table))
    assert from_mapping(BasisSpec, tomllib.loads(to_toml(to_mapping(spec)))) == spec
    for wrong, message in (
        ({"transform": {"kind": "gaussian", "width": 99}}, "radial.transform.width: expected 0.1"),
        ({"family": "bumps", "exponent": 2.0}, "unknown key radial.exponent. Known: power"),
    ):
        with pytest.raises(InputError, match=message):
            from_mapping(BasisSpec, {"radial": wrong})
    rng = np.random.default_rng(12)
    model = Model(spec, rng.normal(size=basis_size(spec)["total"]), np.zeros(2))
    _assert_forces_are_finite_differences(Potential(model), structures_of((8, 14))["triclinic"])


def _assert_forces_are_finite_differences(potential: Potential, structure: Structure) -> None:
    forces = potential.compute(structure).forces
    direction = np.random.default_rng(13).normal(size=forces.shape)

    def slope(h: float) -> float:
        moved = [replace(structure, positions=structure.positions + s * h * direction)
                 for s in (1, -1)]  # fmt: skip
        ends = [potential.compute(one).energy for one in moved]
        return (ends[0] - ends[1]) / (2 * h)

    step = 2e-3
    want = (64 * slope(step / 4) - 20 * slope(step / 2) + slope(step)) / 45
    assert -(forces * direction).sum() == pytest.approx(want, rel=1e-7)
    assert abs(want) > 1e-2
