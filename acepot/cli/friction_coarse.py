"""`acepot friction coarse`: a coarse model that runs, from fine trajectories."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.friction.coarse.config import load_config

_EPILOG = """\
DIR then holds potential.acepot (of mean force), friction.acepot, start.extxyz and md.toml, ready
for acepot md; coarse.toml, report.json with memory and relaxation times, memory.png (friction
against the lag) and kernels.png. docs/friction.md has all keys.

examples:
  acepot friction coarse coarse.toml --out coarse
  acepot md coarse/md.toml --engine ase --out coarse/run
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="trajectories, beads and models")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for what is made")
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    # Here, so that help does not need what fits need.
    from acepot.friction.coarse.command import run_coarse

    run_coarse(config, options.out, say=show, plots=not options.no_plots)
    show(f"written  {Path(options.out)}")
    return 0
