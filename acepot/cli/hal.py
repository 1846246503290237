"""`acepot hal`: hyperactive learning, from a few structures to a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.hal.config import load_config

_EPILOG = """\
Walkers move by molecular dynamics on E - tau sigma, which seeks what the model does not know. Where
the forces of an atom become uncertain a walk ends, the reference labels the structure, and the fit
goes on with it. DIR then holds hal.toml (every default written out), model.acepot with
posterior.acepot and report.json, those of every cycle in models/, the data base data.extxyz (and
data.db for ASE), what could not be labelled in failed.extxyz, the logs walks.csv and labelled.csv,
and the page hal.html. The same command again goes on from the last checkpoint, however the first
one ended; with a larger stop.references a run is made longer. With reference.kind = "files" the
run writes its inputs to DIR/jobs and ends; it goes on when the outputs are there.
docs/hal_toml.md has all keys, docs/hal.md says how to choose them.

examples:
  acepot hal silicon.toml --out run
  acepot md md.toml --engine ase --out run/md     dynamics of the model that was learned
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="the run")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder of the run")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    # Here, so that help does not need what fits need.
    from acepot.hal.reference.queue import WaitingError
    from acepot.hal.run import learn

    try:
        learn(config, options.out, say=show)
    except WaitingError as waiting:
        show(str(waiting))
        return 0
    show(f"written  {Path(options.out)}")
    return 0
