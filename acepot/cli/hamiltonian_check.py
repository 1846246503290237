"""`acepot hamiltonian check`: what is in files with matrices, and whether it can be right."""

from __future__ import annotations

import argparse

from acepot.cli.hamiltonian_convert import add_reading, reading
from acepot.cli.terminal import show

_EPILOG = """\
Of every structure: atoms, shells, how far blocks reach and how large they are there, and the
residual of the overlap check: 1e-14 to 1e-7 where conventions are right, 0.5 to 1 where they are
not; a residual above 1e-3 is an error that says what would cure it.

example:
  acepot hamiltonian check train.npz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    add_reading(verb)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.hamiltonian.conversion import check

    for line in check(options.inputs, reading(options)):
        show(line)
    return 0
