"""`acepot build`: compile what an engine loads."""

from __future__ import annotations

import argparse

import lammps_ace
import torch_ace
from acepot.cli.terminal import show

_EPILOG = """\
lammps: the plugin with pair_style acepot, for the LAMMPS in this Python. LAMMPS does this itself
where the plugin is missing; after `acepot build lammps` many ranks may start at once without
waiting. It is kept in ACEPOT_CACHE, else XDG_CACHE_HOME/acepot, else ~/.cache/acepot.
lammps_ace/README.md tells how to compile it for a cluster's own LAMMPS.
torch: the native kernel as operators of torch, for TorchForce and metatomic, which else compile
them at their first use. One file serves every torch from 2.10 on.

examples:
  acepot build lammps
  acepot build torch
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("engine", choices=("lammps", "torch"), help="which engine")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    built = lammps_ace.build() if options.engine == "lammps" else torch_ace.build()
    show(f"{options.engine}  {built}")
    return 0
