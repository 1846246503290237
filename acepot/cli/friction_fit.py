"""`acepot friction fit`: a model of friction from friction tensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.friction.config import load_config

_EPILOG = """\
DIR then holds model.acepot, friction.toml (every default written out), report.json with errors and
restarts, parity.png and kernels.png. docs/friction.md has all keys.

examples:
  acepot friction fit friction.toml --out friction
  acepot friction eval friction/model.acepot test.npz
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
    from acepot.friction.pipeline import run_friction_fit

    run_friction_fit(config, options.out, say=show, plots=not options.no_plots)
    show(f"written  {Path(options.out)}")
    return 0
