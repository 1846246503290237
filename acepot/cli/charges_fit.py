"""`acepot charges fit`: a model with charges from structures with labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.fitting.charges.config import load_config

_EPILOG = """\
DIR then holds model.acepot, charges.toml (every default written out), report.json with errors and
losses, and parity.png. docs/charges.md has all keys.

examples:
  acepot charges fit charges.toml --out NaCl
  acepot charges eval NaCl/model.acepot test.extxyz
  acepot md md.toml --engine ase --out run              with model = "NaCl/model.acepot"
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="data and model")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for what is made")
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    # Here, so that help does not need what fits need.
    from acepot.fitting.charges.pipeline import run_charge_fit

    run_charge_fit(config, options.out, say=show, plots=not options.no_plots)
    show(f"written  {Path(options.out)}")
    return 0
