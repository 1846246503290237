"""`acepot models`: small models that come with acepot."""

from __future__ import annotations

import argparse

from acepot import shelf
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.io.files import replaced

_EPILOG = """examples:
  acepot models                            all of them
  acepot models W                          what one is made of, and not for
  acepot models W --out W.acepot           its file
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("name", nargs="?", metavar="NAME", help="of a model")
    verb.add_argument("--out", metavar="FILE.acepot", help="copy the model to a file")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.name is None:
        if options.out is not None:
            raise InputError("models: expected the NAME of the model that goes to --out")
        _list()
        return 0
    if options.out is None:
        show(shelf.card(options.name).rstrip())
        return 0
    data = shelf.path(options.name).read_bytes()
    with replaced(options.out, "wb") as file:
        file.write(data)
    show(f"written  {options.out}")
    return 0


def _list() -> None:
    every = shelf.models()
    width = max(len(one.name) for one in every)
    for one in every:
        show(f"{one.name:<{width}}  {one.about}")
        show(f"{'':<{width}}  {one.errors}; {one.microseconds} µs an atom, {one.size // 1000} kB")
