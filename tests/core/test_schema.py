"""Dataclasses, plain mappings and TOML: nothing is lost, and every mistake is named."""

import json
import tomllib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest

from acepot.basis.choices import ChosenFunction, Pair
from acepot.basis.radial import Legendre
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Agnesi
from acepot.errors import InputError
from acepot.schema import Kind, Settings, from_mapping, to_mapping, to_toml


@dataclass(frozen=True)
class Inner:
    """A table inside."""

    width: float = 1.0
    kind: Literal["soft", "hard"] = "soft"

    def __post_init__(self) -> None:
        if self.width < 0:
            raise InputError(f"width: expected 0 or more, got {self.width}")


@dataclass(frozen=True)
class Outer:
    """One field of every kind."""

    name: str
    count: int = 1
    flag: bool = False
    inner: Inner = field(default_factory=lambda: Inner(width=5.0, kind="hard"))
    maybe: Inner | None = None
    numbers: tuple[float, ...] = ()
    pair: tuple[int, str] = (1, "a")
    mixed: float | tuple[float, ...] = 2.0
    choice: float | dict[str, float] | None = None
    either: int | float | str = 0
    sign: Literal[1, -1] = 1
    tables: dict[str, Inner] = field(default_factory=dict)
    items: tuple[Inner, ...] = ()


FULL = {
    "name": "x", "count": 3, "flag": True, "inner": {"width": 2.5, "kind": "soft"},
    "maybe": {"width": 0.1, "kind": "hard"}, "numbers": [1.0, 2.5], "pair": [4, "b"],
    "mixed": [1.0], "choice": {"Si-O": 1.5}, "either": "text", "sign": -1,
    "tables": {"liq": {"width": 3.0, "kind": "soft"}}, "items": [{"width": 7.0, "kind": "hard"}],
}  # fmt: skip


def test_mapping_round_trips_and_keeps_the_field_order():
    instance = from_mapping(Outer, FULL)
    assert instance.numbers == (1.0, 2.5) and instance.items == (Inner(7.0, "hard"),)
    assert to_mapping(instance) == FULL and list(to_mapping(instance)) == list(FULL)
    assert from_mapping(Outer, json.loads(json.dumps(FULL))) == instance
    assert from_mapping(Outer, tomllib.loads(to_toml(to_mapping(instance)))) == instance


def test_int_is_read_as_float_where_a_float_is_wanted():
    value = from_mapping(Outer, {"name": "x", "numbers": [1], "mixed": 3}).numbers[0]
    assert (
        type(value) is float and type(from_mapping(Outer, {"name": "", "mixed": 3}).mixed) is float
    )
    assert type(from_mapping(Outer, {"name": "", "either": 3}).either) is int
    assert type(from_mapping(Outer, {"name": "", "either": 3.0}).either) is float


def test_a_partial_table_changes_only_what_it_names():
    assert from_mapping(Outer, {"name": "x", "inner": {"width": 1}}).inner == Inner(1.0, "hard")
    assert from_mapping(Outer, {"name": "x", "maybe": {"width": 2}}).maybe == Inner(2.0, "soft")
    radial = from_mapping(BasisSpec, {"pair": {"radial": {"nodes": 7}}}).pair.radial
    assert radial.kind == "legendre" and radial.transform == Agnesi(1.0, 3.0)


def test_omitted_defaults_come_back():
    assert to_mapping(Outer("x"), omit_defaults=True) == {"name": "x"}
    for instance in (
        Outer("x", inner=Inner(5.0, "soft")),
        Outer("x", maybe=Inner(), items=(Inner(), Inner(2.0)), tables={"a": Inner()}),
        BasisSpec(elements=("Si", "O"), pair=Pair(radial=Legendre())),
    ):
        short = to_mapping(instance, omit_defaults=True)
        assert from_mapping(type(instance), short) == instance, short
    assert to_mapping(Outer("x", inner=Inner(5.0)), omit_defaults=True)["inner"] == {"kind": "soft"}


def test_null_stands_for_none_and_none_is_left_out():
    assert from_mapping(Outer, {"name": "x", "maybe": None}).maybe is None
    assert "maybe" not in to_mapping(Outer("x"))


def test_numpy_numbers_become_plain():
    table = to_mapping(Outer("x", count=np.int64(3), numbers=(np.float64(0.1),)))
    assert type(table["count"]) is int and type(table["numbers"][0]) is float
    assert "0.1" in to_toml({"x": np.float64(0.1)}) and "float64" not in to_toml(table)


def test_basis_specification_round_trips():
    spec = BasisSpec(
        elements=("Si", "O"), degree=(10.0, 8.5, 7.0), cutoff={"Si-O": 5.5, "default": 4.0},
        functions=(ChosenFunction("Si", ("O", "O"), (1, 2), (3, 3)),), parity=-1, max_n=4,
    )  # fmt: skip
    assert from_mapping(BasisSpec, tomllib.loads(to_toml(to_mapping(spec)))) == spec


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"cutof": 5}, r"^fit.toml: unknown key cutof; did you mean cutoff\? Known: elements, ord"),
        ({"radial": {"noddes": 5}}, r"key radial.noddes; did you mean radial.nodes"),
        ({"pair": {"radial": {"noddes": 5}}}, r"key pair.radial.noddes. Known: transform, env"),
        ({"zzz": 5}, r"unknown key zzz. Known: elements, order, degree"),
        ({"a key": 5}, r'unknown key "a key"'),
    ],
)
def test_unknown_key_is_named_with_its_nearest(mapping, message):
    with pytest.raises(InputError, match=message):
        from_mapping(BasisSpec, mapping, where="fit.toml")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"count": 1.0}, r"^f: count: expected integer, got 1.0"),
        ({"count": True}, r"count: expected integer, got True"),
        ({"numbers": [1, "2"]}, r"numbers\[1\]: expected number, got '2'"),
        ({"numbers": 1.0}, r"numbers: expected list of number, got 1.0"),
        ({"mixed": True}, r"mixed: expected number or list of number, got True"),
        ({"mixed": [True]}, r"mixed\[0\]: expected number, got True"),
        ({"mixed": float("nan")}, r"mixed: expected a finite number, got nan"),
        ({"choice": {"Si-O": "x"}}, r"choice.Si-O: expected number, got 'x'"),
        ({"choice": {"Si-O": float("inf")}}, r"choice.Si-O: expected a finite number, got inf"),
        ({"choice": "x"}, r"choice: expected number or table of number, got 'x'"),
        ({"mixed": 10**400}, r"mixed: expected a finite number"),
        ({"pair": [1]}, r"pair: expected list of exactly \(integer, string\), got \[1\]"),
        ({"flag": 1}, r"flag: expected true or false, got 1"),
        ({"name": 1}, r"name: expected string, got 1"),
        ({"name": None}, r"name: expected string, got None"),
        ({"sign": True}, r"sign: expected one of 1, -1, got True"),
        ({"inner": 3}, r"inner: expected table, got 3"),
        (
            {"inner": {"kind": "hrd"}},
            r"inner.kind: expected one of 'soft', 'hard', got 'hrd'; did ",
        ),
        ({"tables": {"a": {"kind": 1}}}, r"tables.a.kind: expected one of"),
        ({"items": [{"wdth": 1}]}, r"unknown key items\[0\].wdth; did you mean items\[0\].width\?"),
        ({"inner": {"width": -1}}, r"^f: inner.width: expected 0 or more, got -1.0"),
    ],
)
def test_wrong_value_is_named_with_its_key(mapping, message):
    with pytest.raises(InputError, match=message):
        from_mapping(Outer, {"name": "x", **mapping}, where="f")


def test_missing_key_is_named():
    with pytest.raises(InputError, match="missing key name: expected string"):
        from_mapping(Outer, {})


def _random_value(rng: np.random.Generator, depth: int) -> object:
    kind = rng.integers(0, 7 if depth else 5)
    if kind == 0:
        return bool(rng.integers(2))
    if kind == 1:
        return int(rng.integers(-(2**62), 2**62))
    if kind == 2:
        return float(rng.normal() * 10.0 ** rng.integers(-300, 300))
    if kind in (3, 4):
        return _random_text(rng)
    if kind == 5:
        return [_random_value(rng, depth - 1) for _ in range(rng.integers(4))]
    return {_random_text(rng): _random_value(rng, depth - 1) for _ in range(rng.integers(4))}


def _random_text(rng: np.random.Generator) -> str:
    pool = [*map(chr, range(128)), "\x85", "\u2028", "é", "Å", "漢", "😀", "Si-O", '"""', "\\u"]
    return "".join(rng.choice(pool, size=rng.integers(0, 6)))


@pytest.mark.parametrize("seed", range(300))
def test_toml_round_trips_random_mappings(seed):
    rng = np.random.default_rng(seed)
    mapping = {_random_text(rng): _random_value(rng, 4) for _ in range(rng.integers(6))}
    assert tomllib.loads(to_toml(mapping)) == mapping


def test_toml_layout_is_fixed():
    mapping = {
        "a": 1, "empty": {}, "t": {"x": [1, 2.5], "Si-O": 1e-05, "u": {"s": 'q"'}, "n": None},
        "only": {"inner": {"b": True}}, "rows": [{"k": [1]}, {}],
    }  # fmt: skip
    assert to_toml(mapping) == (
        'a = 1\nrows = [\n  {k = [1]},\n  {},\n]\n\n[empty]\n\n[t]\nx = [1, 2.5]\n"Si-O" = 1e-05\n'
        '\n[t.u]\ns = "q\\""\n\n[only.inner]\nb = true\n'
    )


@pytest.mark.parametrize("value", [float("nan"), [None], [[1, object()]], 1j])
def test_toml_refuses_what_it_cannot_hold(value):
    with pytest.raises(InputError, match=r"^t.x: .* cannot be written as TOML"):
        to_toml({"t": {"x": value}})


# ------------------------------------------------------------------ kinds, and checks from Python


class Spring(Kind, tag="type"):
    """A family."""


@dataclass(frozen=True)
class Linear(Spring, kind="linear"):
    """One kind."""

    stiffness: float = 1.0
    former = frozenset({"power"})

    def check(self) -> None:
        if self.stiffness < 0:
            raise InputError(f"stiffness: expected 0 or more, got {self.stiffness}")


@dataclass(frozen=True)
class Power(Spring, kind="power"):
    """Another."""

    power: float
    parts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Machine(Settings):
    """Holds one."""

    spring: Spring = field(default_factory=Linear)
    count: int = 1


@pytest.mark.parametrize(
    ("mapping", "machine"),
    [
        ({}, Machine()),
        ({"spring": {"stiffness": 2}}, Machine(Linear(2.0))),
        ({"spring": {"type": "linear", "power": 3}}, Machine(Linear())),
        ({"spring": {"type": "power", "power": 3, "parts": [1]}}, Machine(Power(3, (1,)))),
    ],
)
def test_a_kind_is_chosen_by_its_key(mapping, machine):
    assert from_mapping(Machine, mapping) == machine
    assert from_mapping(Machine, tomllib.loads(to_toml(to_mapping(machine)))) == machine


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"spring": {"type": "linaer"}}, "spring.type: expected one of 'linear', 'power', got "
         "'linaer'; did you mean 'linear'?"),
        ({"spring": {"parts": [1.0]}}, "unknown key spring.parts"),
        ({"spring": {"type": "power"}}, "missing key spring.power: expected number"),
        ({"spring": {"type": "linear", "stiffness": -1}}, "spring.stiffness: expected 0 or more"),
        ({"spring": 3}, "spring: expected table, got 3"),
        ({"count": 1.5}, "count: expected integer, got 1.5"),
    ],
)  # fmt: skip
def test_a_wrong_kind_or_value_is_named(values, message):
    with pytest.raises(InputError) as error:
        from_mapping(Machine, values)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear("soft"), "stiffness: expected number, got 'soft'"),
        (lambda: Linear(-1), "stiffness: expected 0 or more, got -1.0"),
        (lambda: Power(np.nan), "power: expected a finite number, got nan"),
        (lambda: Machine(spring="linear"), "spring: expected table, got 'linear'"),
        (lambda: Machine(count=2.0), "count: expected integer, got 2.0"),
    ],
)
def test_settings_made_in_python_are_checked_like_those_of_a_file(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message


def test_two_kinds_of_one_name_are_refused():
    with pytest.raises(TypeError, match="Linear has the type 'linear' already"):

        @dataclass(frozen=True)
        class Other(Spring, kind="linear"):
            pass
