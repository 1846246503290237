"""`acepot build`: compile what an engine loads."""

from __future__ import annotations

import argparse

import kim_ace
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
kim: the model driver for programs with the KIM API, installed into the user's collection of KIM;
kim_ace/README.md tells more.

examples:
  acepot build lammps
  acepot build torch
  acepot build kim
"""
_PACKAGES = {"lammps": lammps_ace, "torch": torch_ace, "kim": kim_ace}


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("engine", choices=tuple(_PACKAGES), help="which engine")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    show(f"{options.engine}  {_PACKAGES[options.engine].build()}")
    return 0
