"""Frozen dataclasses to and from plain mappings, and mappings to TOML.

One rule for every file that holds settings: a dataclass is a table, its fields are the keys,
its annotations are the types. `fit.toml` and the JSON header of a model file both go through
`from_mapping` and `to_mapping`.

A class made of `Settings` checks itself wherever it is made, in Python as from TOML: the types of
its fields here, their values in its own `check`, with an `InputError` whose message starts with the
name of the field ("damping: expected 0 or more, got -1"); the key of the table is put before it.

Settings that come in several kinds (solvers, priors, transforms ...) are a class for each kind
under one base: the base says which key tells them apart, each kind has the fields it needs and no
others. A new kind is one class; nothing lists them a second time.

    class Solver(Kind): ...

    @dataclass(frozen=True)
    class Ridge(Solver, kind="ridge"):
        damping: float = 1.0

Keys that are known only when a file is read are gathered in one field, `further(names)`: a mapping
whose items stand in the table itself, beside the other fields.
"""

from __future__ import annotations

import math
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from acepot.errors import InputError

__all__ = [
    "LATER", "Kind", "Settings", "from_mapping", "from_toml", "further", "to_mapping", "to_toml",
]  # fmt: skip

T = TypeVar("T")

#: Metadata of a field that files of earlier versions lack: it is written only where it is set.
LATER = {"later": True}
_FURTHER = "further"
_BARE_KEY = re.compile(r"[A-Za-z0-9_]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_CONTROL = re.compile(r'[\x00-\x1f\x7f"\\]')
_SCALARS: dict[object, str] = {
    float: "number", int: "integer", str: "string", bool: "true or false", NoneType: "nothing",
}  # fmt: skip


class Settings:
    """Base of frozen dataclasses that check themselves wherever they are made.

    Raises:
        InputError: a field has a wrong type or value; the message begins with its name.
    """

    def __post_init__(self) -> None:
        cls: Any = type(self)
        hints = _hints(cls)
        for name in _settable(type(self)):
            object.__setattr__(self, name, _convert(hints[name], getattr(self, name), name))
        self.check()

    def check(self) -> None:
        """Refuse values that the types allow but the class does not."""


class Kind(Settings):
    """Base of settings that come in several kinds, one class each.

    A direct subclass is the base of a family, `class Prior(Kind, tag="kind")`; its subclasses are
    the kinds, `class Algebraic(Prior, kind="algebraic")`, and are known by these names in files.

    Attributes:
        tag: the key that names the kind.
        kind: the name of this kind.
        kinds: every kind of the family by its name.
        former: keys that files of earlier versions give this kind, though they mean nothing to it.
    """

    tag: ClassVar[str]
    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type[Kind]]]
    former: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, *, kind: str | None = None, tag: str = "kind") -> None:
        super().__init_subclass__()
        if kind is None:
            if Kind in cls.__bases__:
                cls.tag, cls.kinds = tag, {}
            return
        cls.kind = kind
        known = cls.kinds.setdefault(kind, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.__name__}: {known.__name__} has the {cls.tag} {kind!r} already")
        cls.kinds[kind] = cls


def _is_family(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Kind) and "kind" not in vars(cls)


def further(names: Callable[[], Iterable[str]]) -> Any:
    """A field of type dict[str, X] whose items are keys of the table itself.

    Args:
        names: the keys there may be beside the other fields, asked for whenever a table is read.
    """
    return field(default_factory=dict, metadata={_FURTHER: names})


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str = "") -> T:
    """An instance of a dataclass from a table of plain values.

    Keys that are absent keep their default. If a field's default is itself a dataclass, a
    table given for it changes that default: what is not written stays as it was, also what
    another kind has of it if that differs from its own kind's default.

    Args:
        cls: a dataclass; its fields may be str, int, float, bool, Literal, None, dataclasses,
            tuples, dict[str, X] and unions of these.
        mapping: values by field name, as read from TOML or JSON; lists stand for tuples.
        where: the file's name, put before every message.

    Returns:
        The instance.

    Raises:
        InputError: a key is unknown or missing, a value has the wrong type or is not finite,
            or the class refused it; the message holds the dotted key.
    """
    try:
        built: T = _build(cls, mapping, "", None)
    except InputError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from error
    return built


def from_toml(cls: type[T], path: Path) -> T:
    """An instance of a dataclass from a TOML file.

    Args:
        cls: as `from_mapping` takes it.
        path: of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    try:
        text = path.read_bytes().decode()
        return from_mapping(cls, tomllib.loads(text), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, the settings in TOML") from error
    except tomllib.TOMLDecodeError as error:
        end = f"at line {text.count(chr(10)) + 1}, the end of the file"
        message = str(error).replace("at end of document", end)
        raise InputError(f"{path}: not valid TOML: {message}") from error


def to_mapping(instance: object, *, omit_defaults: bool = False) -> dict[str, Any]:
    """The plain mapping from which `from_mapping` makes an equal instance.

    Args:
        instance: of a dataclass.
        omit_defaults: leave out every value that equals its default.

    Returns:
        Fields in order; dataclasses become dicts, tuples lists. None is left out, since TOML
        has no null: a field that may be None should have None for its default.

    Raises:
        InputError: a value has no plain form.
    """
    if not is_dataclass(instance) or isinstance(instance, type):
        raise InputError(f"expected an instance of a dataclass, got {instance!r}")
    table: dict[str, Any] = _plain(instance, "", omit_defaults)
    return table


def to_toml(mapping: Mapping[str, Any]) -> str:
    """Text such that `tomllib.loads(text) == mapping`, keys in the order of the mapping.

    Args:
        mapping: of strings to str, bool, int, finite float, lists and mappings of these; None
            is left out. Within a table, plain values are written before sub-tables.

    Returns:
        TOML 1.0 text that ends in a newline (empty for an empty mapping).

    Raises:
        InputError: a value or key that TOML cannot hold; the message names it.
    """
    return "\n".join(f"{block}\n" for block in _blocks(mapping, ()))


# ---- mapping -> dataclass


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _join(parent: str, key: str) -> str:
    shown = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _string(key)
    return f"{parent}.{shown}" if parent else shown


def _settable(cls: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(cls) if field.init} if is_dataclass(cls) else {}


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _start(cls: Any, name: str, base: Any) -> Any:
    """What a field is unless a table says: as in `base`, the default of where the table stands.

    When a table names another kind than that of `base`, what `base` sets on purpose stays, but
    not what is only the default of its own kind.
    """
    if isinstance(base, cls):
        return getattr(base, name)
    if isinstance(base, Kind) and issubclass(cls, Kind) and base.kinds is cls.kinds:
        kind: Any = type(base)
        other = _settable(kind).get(name)
        if other is not None and _hints(kind)[name] == _hints(cls)[name]:
            if getattr(base, name) != _default(other):
                return getattr(base, name)
    return _default(_settable(cls)[name])


def _build(cls: Any, mapping: object, key: str, base: object) -> Any:
    """An instance of `cls`; fields that the mapping lacks are those of `base`, if given."""
    if not isinstance(mapping, Mapping):
        raise InputError(f"{key or cls.__name__}: expected a table, got {mapping!r}")
    if issubclass(cls, Kind):
        cls, mapping = _chosen(cls, mapping, key, base)
    known = _settable(cls)
    values: dict[str, Any] = {}
    gathered = next((name for name, one in known.items() if _FURTHER in one.metadata), None)
    names = list(known)
    if gathered is not None:
        more = [str(name) for name in known.pop(gathered).metadata[_FURTHER]()]
        names = [*known, *(name for name in more if name not in known)]
        item = get_args(_hints(cls)[gathered])[1]
        values[gathered] = dict(getattr(base, gathered)) if isinstance(base, cls) else {}
        for name, value in mapping.items():
            if name in names and name not in known:
                values[gathered][name] = _convert(item, value, _join(key, name))
    for name in mapping:
        if name not in names:
            raise InputError(_unknown(str(name), key, names, _elsewhere(cls, str(name), key)))
    for name in known:
        default = _start(cls, name, base)
        if name in mapping:
            values[name] = _convert(_hints(cls)[name], mapping[name], _join(key, name), default)
        elif default is not MISSING:
            values[name] = default
        elif _is_table(_hints(cls)[name]):  # so that the missing key inside it is named
            values[name] = _build(_hints(cls)[name], {}, _join(key, name), None)
        else:
            wanted = _expected(_hints(cls)[name])
            raise InputError(f"missing key {_join(key, name)}: expected {wanted}")
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{key}.{error}" if key else str(error)) from error


def _chosen(
    cls: type[Kind], mapping: Mapping[str, Any], key: str, base: object
) -> tuple[type[Kind], Mapping[str, Any]]:
    """The kind that a table names, or that of `base`, and the table without what is not its own."""
    chosen = cls
    if cls.tag in mapping:
        name = _convert(_names(cls), mapping[cls.tag], _join(key, cls.tag))
        chosen = cls.kinds[name]
        if not issubclass(chosen, cls):
            raise InputError(f"{_join(key, cls.tag)}: expected {cls.kind!r}, got {chosen.kind!r}")
    elif _is_family(cls):
        if not isinstance(base, cls):
            raise InputError(
                f"missing key {_join(key, cls.tag)}: expected {_expected(_names(cls))}"
            )
        chosen = type(base)
    own = _settable(chosen)
    gone = {cls.tag} | (chosen.former - set(own))
    return chosen, {name: value for name, value in mapping.items() if name not in gone}


def _names(cls: type[Kind]) -> Any:
    """The names of all kinds of a family as a type."""
    return Literal.__getitem__(tuple(cls.kinds))


def _elsewhere(cls: Any, name: str, parent: str) -> str:
    """The dotted key of a table below this one that has such a key; "" if there is none."""
    for table, hint in _hints(cls).items():
        if is_dataclass(hint) and name in _settable(hint):
            return _join(_join(parent, table), name)
    return ""


def _unknown(name: str, parent: str, known: list[str], elsewhere: str) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = elsewhere or (_join(parent, near[0]) if near else "")
    hint = f"; did you mean {meant}?" if meant else "."
    return f"unknown key {_join(parent, name)}{hint} Known: {', '.join(known) or 'none'}"


def _convert(hint: Any, value: Any, key: str, base: object = None) -> Any:
    """`value` as the type `hint`, or an InputError that names the key."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        arms = [arm for arm in args if _suits(arm, value)]
        arms.sort(key=lambda arm: arm is not type(value))  # an int stays one in `float | int`
        for arm in arms:
            try:
                return _convert(arm, value, key, base)
            except InputError:
                if len(arms) == 1:  # its message is the better one
                    raise
    if not _suits(hint, value) or origin in (Union, UnionType):
        raise _mismatch(hint, value, key)
    if _is_table(hint):
        return value if isinstance(value, hint) else _build(hint, value, key, base)
    if origin is tuple:
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise _mismatch(hint, value, key)
        return tuple(
            _convert(kind, item, f"{key}[{i}]")
            for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is dict:
        return {name: _convert(args[1], item, _join(key, name)) for name, item in value.items()}
    if hint is float:
        if not abs(value) <= sys.float_info.max:
            raise InputError(f"{key}: expected a finite number, got {value}")
        return float(value)
    if hint is str and "\0" in value:
        raise InputError(f"{key}: expected text without NUL characters, got {value!r}")
    return value


def _is_table(hint: Any) -> bool:
    """Whether values of a type are written as a table: dataclasses, and families of them."""
    return isinstance(hint, type) and (is_dataclass(hint) or _is_family(hint))


def _suits(hint: Any, value: object) -> bool:
    """Whether the value has the outer shape of the type (its items are not looked at)."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_suits(arm, value) for arm in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if origin is tuple:
        return isinstance(value, (list, tuple))
    if origin is dict:
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    if _is_table(hint):
        return isinstance(value, (Mapping, hint))
    if hint in (int, float) and isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, (int, float))
    if hint in _SCALARS:
        return isinstance(value, hint)
    raise TypeError(f"acepot.schema does not know the type {hint!r}")


def _mismatch(hint: Any, value: object, key: str) -> InputError:
    names = [one for one in _choices(hint) if isinstance(one, str)]
    near = get_close_matches(value, names, n=1, cutoff=0.5) if isinstance(value, str) else []
    suggestion = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"{key}: expected {_expected(hint)}, got {value!r}{suggestion}")


def _choices(hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [one for arm in get_args(hint) if arm is not Ellipsis for one in _choices(arm)]


def _expected(hint: Any) -> str:
    """The type in the words of a settings file: "number or list of numbers"."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_expected(arm) for arm in args if arm is not NoneType)
    if origin is Literal:
        return "one of " + ", ".join(repr(one) for one in args)
    if origin is tuple and args[-1] is Ellipsis:
        return f"list of {_expected(args[0])}"
    if origin is tuple:
        return "list of exactly (" + ", ".join(_expected(one) for one in args) + ")"
    if origin is dict:
        return f"table of {_expected(args[1])}"
    return _SCALARS.get(hint, "table")


# ---- dataclass -> mapping


def _plain(value: Any, name: str, omit: bool, base: object = None) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        table: dict[str, Any] = {value.tag: value.kind} if isinstance(value, Kind) else {}
        for key, one in _settable(value).items():
            item = getattr(value, key)
            default = _start(type(value), key, base)
            skip = (omit or "later" in one.metadata) and default is not MISSING
            if _FURTHER in one.metadata:
                table |= _plain(item, name, omit)
            elif item is not None and not (skip and item == default):
                table[key] = _plain(item, _join(name, key), omit, default)
        return table
    if isinstance(value, Mapping):
        items = {str(k): v for k, v in value.items() if v is not None}
        return {k: _plain(v, _join(name, k), omit) for k, v in items.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item, name, omit) for item in value]
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise InputError(f"{name}: {value!r} has no plain form; expected text, numbers, lists, tables")


# ---- mapping -> TOML


def _blocks(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """The text of a table and, after it, those of its sub-tables."""
    name = ".".join(path)
    lines: list[str] = []
    inner: list[str] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner += _blocks(value, (*path, _key(key)))
        elif value is not None:
            lines.append(f"{_key(key)} = {_value(value, '.'.join((*path, str(key))))}")
    if path and (lines or not inner):
        lines.insert(0, f"[{name}]")
    return (["\n".join(lines)] if lines else []) + inner


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise InputError(f"TOML keys are strings, got {key!r}")
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: object, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))
    if isinstance(value, Mapping):
        pairs = (f"{_key(k)} = {_value(v, where)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        items = [_value(item, where) for item in value]
        if any(isinstance(item, Mapping) for item in value):
            return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        return "[" + ", ".join(items) + "]"
    raise InputError(f"{where}: {value!r} cannot be written as TOML")


def _string(text: str) -> str:
    return '"' + _CONTROL.sub(lambda m: _ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", text) + '"'
