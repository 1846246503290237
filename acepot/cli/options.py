"""Options that several verbs share."""

from __future__ import annotations

import argparse
import math

from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.io.structures.labels import WORDS, LabelKeys


def add_keys(verb: argparse.ArgumentParser) -> None:
    """`--keys energy=dft_energy,forces=dft_force`."""
    verb.add_argument(
        "--keys",
        metavar="LABEL=KEY,...",
        help="names of the labels, such as energy=dft_energy,forces=dft_force",
    )


def label_keys(text: str | None) -> LabelKeys:
    """The keys of `--keys`.

    Raises:
        InputError: not of the form LABEL=KEY, or an unknown label.
    """
    known = tuple(WORDS)
    found: dict[str, str] = {}
    for part in (text or "").split(",") if text else []:
        label, equals, key = part.partition("=")
        if not equals or label.strip() not in known or not key.strip():
            raise InputError(f"--keys: expected {'|'.join(known)}=KEY, got {part!r}")
        found[label.strip()] = key.strip()
    return LabelKeys(**found)  # type: ignore[arg-type]  # its mapping has no such option


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
