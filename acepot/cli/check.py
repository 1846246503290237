"""`acepot check`: is this model what a potential must be?"""

from __future__ import annotations

import argparse
from typing import Any

import acepot.laws
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.io.registry import load
from acepot.io.structures.datasets import read_structures
from acepot.model import ChargeModel, Model
from acepot.report.holes import look_for_holes

_EPILOG = """--holes looks where there are no data: dimers of every pair of elements, trimers
and random squeezed cells, whose energy must rise when atoms get closer than any bond. The
distances it judges by are those of DATA, else of the data of the fit, else of typical bonds.

examples:
  acepot check Si/model.acepot
  acepot check Si/model.acepot --holes --out holes
"""
#: Holes that are printed.
_LINES = 10


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model file")
    verb.add_argument("data", metavar="DATA", nargs="?", help="structures (random ones)")
    verb.add_argument("--holes", action="store_true", help="look where atoms fall into each other")
    holes = verb.add_argument_group("with --holes")
    holes.add_argument("--out", metavar="DIR", help="folder for a picture and the structures")
    holes.add_argument("--report", metavar="R.json", help="write what was found to this file")
    holes.add_argument("--seed", type=int, metavar="N", help="of the random cells (0)")
    holes.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.holes:
        return _holes(options)
    own = {"--out": options.out, "--report": options.report, "--seed": options.seed}
    if given := [name for name, value in own.items() if value is not None]:
        raise InputError(f"{', '.join(given)}: expected together with --holes")
    structures = read_structures(options.data)[0] if options.data else None
    failed = 0
    model: Any = load(options.model, Model | ChargeModel)
    for finding in acepot.laws.check(model, structures):
        failed += not finding.passed
        mark = "ok  " if finding.passed else "FAIL"
        show(f"{mark} {finding.structure}: {finding.law} ({finding.error:.1e})")
    show("all laws hold" if not failed else f"{failed} laws do not hold")
    return 1 if failed else 0


def _holes(options: argparse.Namespace) -> int:
    if (seed := options.seed or 0) < 0:
        raise InputError(f"--seed: expected 0 or more, got {seed}")
    found = look_for_holes(
        options.model,
        options.data,
        folder=options.out,
        report=options.report,
        seed=seed,
        plots=not options.no_plots,
        say=show,
    )
    holes = found.holes
    for hole in holes[:_LINES]:
        show(f"HOLE {hole}")
    if len(holes) > _LINES:
        show(f"... and {len(holes) - _LINES} more")
    show(str(found))
    return 1 if holes else 0
