"""`acepot defects`: how far a small training cell with a defect carries."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.defects.settings import load_config

_EPILOG = """\
Models are trained on small cells with a defect, labelled by a reference (a model, or a calculator
of ASE), with and without force constants of the perfect crystal, and tried in a large cell that the
reference relaxes too. DIR then holds defects.html with tables, figures and the cheapest step to the
geometry that is asked for, defects.json and defects.csv, the cells at rest and all models. What is
stopped, or killed, goes on when the same command is given again: no calculation is made twice.
docs/defects.md has all keys and says what the numbers mean.

example:
  acepot defects tungsten.toml --out W-defects
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="the study")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for the results")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    # Here, so that help does not need what fits need.
    from acepot.defects.run import PAGE, study

    study(config, options.out, say=show)
    show(f"\nwritten  {Path(options.out) / PAGE}")
    return 0
