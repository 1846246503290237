"""`acepot chain`: one report of errors from the reference to the quantities asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.chain.settings import load_config
from acepot.cli.terminal import show

_EPILOG = """\
Every level that CONFIG.toml names (reference, potential, Hamiltonian, friction) is judged on data
it was not fitted to; its deviations are made as large as its errors there, and carried through to
lattice constants, elastic constants, defect energies, gaps and friction. DIR then holds chain.html,
which says of each quantity which level adds most to its error and where each number is from,
chain.json, and a file for every level. docs/chain.md has all keys.

example:
  acepot chain silicon.toml --out Si-chain
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("config", metavar="CONFIG.toml", help="the levels and the crystal")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for the results")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    # Here, so that help does not need what the levels need.
    from acepot.chain.report import PAGE, lines
    from acepot.chain.run import chain

    levels, quantities = chain(config, options.out, say=show)
    show("\n" + "\n".join(lines(levels, quantities)))
    show(f"\nwritten  {Path(options.out) / PAGE}")
    return 0
