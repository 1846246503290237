"""`acepot hamiltonian convert`: matrices of a program in our file, or in that of another one."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show

_EPILOG = """\
Formats are known by their content (docs/hamiltonian_data.md). Where H comes with S each file is
tested: S depends on the bond alone, and any wrong order, sign or lattice vector shows.

examples:
  acepot hamiltonian convert deeptb_data --out train.npz
  acepot hamiltonian convert run1 run2 --orbitals C=ssp --out train.npz
  acepot hamiltonian convert prediction.npz --out prediction.deeph
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    add_reading(verb)
    verb.add_argument("--single", action="store_true", help="round to single precision")
    verb.add_argument(
        "--out", required=True, metavar="OUT", help="FILE.npz, or folder NAME.deeptb or NAME.deeph"
    )


def add_reading(verb: argparse.ArgumentParser) -> None:
    """Inputs, and how they are understood where it is not as their formats say."""
    verb.add_argument("inputs", nargs="+", metavar="IN", help="files or folders with matrices")
    verb.add_argument("--order", metavar="PROGRAM", help="whose order of orbitals they have")
    verb.add_argument("--reverse", action="store_true", default=None, help="their T is that of -T")
    verb.add_argument(
        "--wrap", choices=("none", "unit", "centred"), help="cell that their T counts from"
    )
    verb.add_argument(
        "--orbitals", nargs="+", default=[], metavar="X=LETTERS", help="shells, such as C=ssp"
    )


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.hamiltonian.conversion import convert

    for line in convert(options.inputs, options.out, reading(options), options.single):
        show(line)
    return 0


def reading(options: argparse.Namespace):  # type: ignore[no-untyped-def]  # imported late
    """How inputs are understood."""
    from acepot.errors import InputError
    from acepot.hamiltonian.formats.assembly import Reading
    from acepot.orbitals import Orbitals

    shells = {}
    for item in options.orbitals:
        symbol, equals, letters = item.partition("=")
        if not equals:
            raise InputError(f"--orbitals: expected such as C=ssp, got {item!r}")
        shells[symbol] = letters
    orbitals = Orbitals(shells) if shells else None
    return Reading(options.order, options.reverse, options.wrap, orbitals)
