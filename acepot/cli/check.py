"""`acepot check`: is this model what a potential must be?"""

from __future__ import annotations

import argparse

import acepot.laws
from acepot.cli.terminal import show
from acepot.io.registry import load
from acepot.io.structures.datasets import read_structures

_EPILOG = """example:
  acepot check Si/model.acepot
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model file")
    verb.add_argument("data", metavar="DATA", nargs="?", help="structures (random ones)")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    structures = read_structures(options.data)[0] if options.data else None
    failed = 0
    for finding in acepot.laws.check(load(options.model), structures):
        failed += not finding.passed
        mark = "ok  " if finding.passed else "FAIL"
        show(f"{mark} {finding.structure}: {finding.law} ({finding.error:.1e})")
    show("all laws hold" if not failed else f"{failed} laws do not hold")
    return 1 if failed else 0
