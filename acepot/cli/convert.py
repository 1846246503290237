"""`acepot convert`: a model file in another format."""

from __future__ import annotations

import argparse
from typing import get_args

from acepot.cli.terminal import show
from acepot.conversion import Target, convert, describe

_EPILOG = """\
IN may be .acepot, PACE's .yace or .ace, or ACE1's JSON, compressed or not, whatever its suffix.
OUT is .acepot, .yace (for LAMMPS' pair_style pace) or .tables (for its pair_style acepot) by its
suffix, unless --to says.
docs/pace.md tells what a .yace file can hold.

examples:
  acepot convert Si/model.acepot Si.yace
  acepot convert Cu-PBE-core-rep.ace Cu.acepot
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("source", metavar="IN", help="model file")
    verb.add_argument("target", metavar="OUT", help="file to write")
    verb.add_argument("--to", choices=get_args(Target), help="format of OUT (by its suffix)")
    verb.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="largest relative error of a radial function in a .yace file (1e-10)",
    )


def run(options: argparse.Namespace) -> int:
    """Do it."""
    done = convert(options.source, options.target, options.to, options.tolerance)
    for name, value in describe(options.source, options.target, done):
        show(f"{name:<9}  {value}")
    return 0
