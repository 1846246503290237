"""Options that several verbs share."""

from __future__ import annotations

import argparse
import re

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

    said = _SETTING.sub(option, message)
    if hasattr(options, said.partition(":")[0]):
        said = f"--{said}"
    if without and "--" not in said:
        names = " and ".join(dict.fromkeys(without))
        said += f" ({names}: in a TOML file, which acepot fit takes instead of the data)"
    return said
