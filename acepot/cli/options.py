"""Options that several verbs share."""

from __future__ import annotations

import argparse

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
