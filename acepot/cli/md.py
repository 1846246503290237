"""`acepot md`: one simulation in the engine of choice."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.md.config import load_config
from acepot.md.engines import engine, names
from acepot.md.simulation import simulate

_EPILOG = """\
DIR then holds md.toml (every default written out), log.csv (temperature, energies, pressure,
volume), the trajectory in the engine's format, the last checkpoint and md.png. The same command
again goes on from the checkpoint, however the first one ended; with a larger run.steps the run is
made longer. Another run starts from the last state of this one, in any engine, with
structure.run = "DIR" in its TOML file. docs/md_toml.md has all keys.

examples:
  acepot md silicon.toml --engine ase --out run
  acepot md silicon.toml --engine lammps --out run-lammps
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="the simulation")
    verb.add_argument("--engine", required=True, choices=names(), help="which engine runs it")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    simulate(config, options.out, engine(options.engine), say=show, plots=not options.no_plots)
    show(f"written  {Path(options.out)}")
    return 0
