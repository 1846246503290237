"""Options that several verbs share."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.evaluate.precision import Precision
from acepot.io.structures.labels import WORDS, KeysWanted, LabelKeys
from acepot.io.structures.scales import EXAMPLES


def add_keys(verb: argparse.ArgumentParser) -> None:
    """`--keys energy=dft_energy,forces=dft_force`, and what else is said of labels."""
    verb.add_argument(
        "--keys",
        metavar="LABEL=KEY,...",
        help="names of the labels, such as energy=dft_energy,forces=dft_force",
    )
    verb.add_argument(
        "--ignore", metavar="LABEL,...", help="labels to leave out, such as stress,virial"
    )
    verb.add_argument(
        "--units",
        metavar="LABEL=UNIT,...",
        help="units other than eV and Å, with a minus where the sign is the other one, such as "
        "energy=Ha,forces=Ha/Bohr,stress=-bar",
    )


def label_keys(options: argparse.Namespace) -> LabelKeys:
    """What `--keys`, `--ignore` and `--units` say.

    Raises:
        InputError: not of their forms, or an unknown label or unit.
    """
    keys = _named("--keys", options.keys, tuple(WORDS), "KEY")
    units = _named("--units", options.units, tuple(EXAMPLES), "UNIT")
    ignore = tuple(part.strip() for part in (options.ignore or "").split(",") if part.strip())
    try:
        return LabelKeys(**keys, ignore=ignore, units=units)  # type: ignore[arg-type]  # keys only
    except InputError as error:
        raise InputError(f"--{error}") from None


def _named(option: str, text: str | None, known: Sequence[str], value: str) -> dict[str, str]:
    """The pairs NAME=VALUE of an option."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else []:
        name, equals, given = part.partition("=")
        if not equals or name.strip() not in known or not given.strip():
            raise InputError(f"{option}: expected {'|'.join(known)}={value}, got {part!r}")
        found[name.strip()] = given.strip()
    return found


def add_precision(verb: argparse.ArgumentParser) -> None:
    """`--precision mixed`."""
    verb.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="double",
        help="mixed: neighbours in single precision, the rest in double; what it costs is said "
        "[double]",
    )


#: A key that was given, as messages say it.
_KEY = re.compile(r'(?:keys\.(?=\w+ = ))?(\w+?)(?:_key)? = "([^"]*)"(?= occurs in no frame)')


@contextmanager
def keys_by_option() -> Iterator[None]:
    """Whoever must name keys is told of `--keys`, instead of the TOML file they do not have."""
    try:
        yield
    except KeysWanted as error:
        raise error.on_command_line() from error
    except InputError as error:
        said = _KEY.sub(r"--keys \1=\2", str(error))
        if said == str(error):
            raise
        raise InputError(said) from error


def numbers(name: str, text: str) -> float | tuple[float, ...]:
    """One number, or several separated by commas.

    Raises:
        InputError: something else.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{name}: expected numbers separated by commas, got {text!r}") from None
    return values[0] if len(values) == 1 else values


#: The one setting whose option has another name.
_SOLVER = re.compile(r'solver\.kind = "(\w+)"')
#: Settings of a TOML file by their dotted names, as messages say them.
_SETTING = re.compile(
    r"(?<![\w.-])(?:(basis|data|solver|prior|restraint|committee|weights)\.(\w+)|e0\.\w+)"
    r"(?![\w(])"
)


def in_options(message: str, options: argparse.Namespace) -> str:
    """A message for those who gave options and no TOML file: settings become options.

    Args:
        message: says settings as in a TOML file, such as basis.cutoff.
        options: those there are.
    """
    without: list[str] = []

    def option(found: re.Match[str]) -> str:
        name = found.group(2) or "e0"
        if hasattr(options, name):
            return f"--{name}"
        without.append(found.group())
        return found.group()

    if hasattr(options, "solver"):
        message = _SOLVER.sub(r"--solver \1", message)
    said = _SETTING.sub(option, message)
    if hasattr(options, said.partition(":")[0]):
        said = f"--{said}"
    if without and "--" not in said:
        names = " and ".join(dict.fromkeys(without))
        said += f" ({names}: in a TOML file, which acepot fit takes instead of the data)"
    return said


def pair_number(name: str, text: str) -> float | dict[str, float]:
    """One number, or numbers by pair of elements: `2.3`, `Si-O=1.6,default=2.3`.

    Raises:
        InputError: something else.
    """
    wanted = "a number, or PAIR=NUMBER,... such as Si-O=1.6,default=2.4"
    if "=" in text:
        return _table(name, text, wanted)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{name}: expected {wanted}, got {text!r}") from None


def by_element(name: str, text: str) -> dict[str, float]:
    """Numbers by chemical symbol: `Si=-158.5,O=-432.1`.

    Raises:
        InputError: something else.
    """
    found = _table(name, text, "ELEMENT=NUMBER,... such as Si=-158.5,O=-432.1")
    for symbol in found:
        try:
            atomic_number(symbol)
        except InputError as error:
            raise InputError(f"{name}: {str(error).partition(': ')[2]}") from None
    return found


def _table(name: str, text: str, wanted: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not equals or not key or math.isnan(number):
            raise InputError(f"{name}: expected {wanted}, got {part!r}")
        if key in found:
            raise InputError(f"{name}: {key} is given twice")
        found[key] = number
    return found
