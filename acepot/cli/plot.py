"""`acepot plot`: dimer curves and parity plots of a model."""

from __future__ import annotations

import argparse

from acepot.cli.options import add_keys, keys_by_option, label_keys
from acepot.cli.terminal import show
from acepot.report.evaluation import draw

_EPILOG = """example:
  acepot plot Si/model.acepot Si_test.xyz --out plots
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model file")
    verb.add_argument("data", metavar="DATA", nargs="?", help="labelled structures")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for the pictures")
    add_keys(verb)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    keys = label_keys(options)
    with keys_by_option():
        pictures = draw(options.model, options.out, options.data, keys, say=show)
    for path in pictures:
        show(str(path))
    return 0
