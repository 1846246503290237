"""`acepot md`: one simulation in the engine of choice."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from acepot.cli.terminal import show
from acepot.md.config import load_config
from acepot.md.engine import EngineKind
from acepot.md.simulation import simulate

_EPILOG = """\
DIR then holds md.toml (every default written out), log.csv (temperature, energies, pressure,
volume), the trajectory in the engine's format, the last checkpoint and md.png. The same command
again goes on from the checkpoint, however the first one ended. docs/md_toml.md has all keys.

examples:
  acepot md silicon.toml --engine ase --out run
  acepot md silicon.toml --engine lammps --out run-lammps
"""


def add_to(verbs: Any) -> argparse.ArgumentParser:
    """Describe the verb."""
    text = "molecular dynamics in ASE, OpenMM, i-PI or LAMMPS"
    verb: argparse.ArgumentParser = verbs.add_parser(
        "md", help=text, description=text, epilog=_EPILOG
    )
    verb.add_argument("config", metavar="CONFIG.toml", help="the simulation")
    verb.add_argument("--engine", required=True, choices=tuple(_KINDS), help="which engine runs it")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")
    return verb


def run(options: argparse.Namespace) -> int:
    """Do it."""
    config = load_config(options.config)
    simulate(config, options.out, _KINDS[options.engine](), say=show, plots=not options.no_plots)
    show(f"written  {Path(options.out)}")
    return 0


def _ase() -> EngineKind:
    from ase_ace.dynamics import ASE_ENGINE

    return ASE_ENGINE


def _openmm() -> EngineKind:
    from openmm_ace.dynamics import OPENMM_ENGINE

    return OPENMM_ENGINE


def _ipi() -> EngineKind:
    from ipi_driver.dynamics import IPI_ENGINE

    return IPI_ENGINE


def _lammps() -> EngineKind:
    from lammps_ace.dynamics import LAMMPS_ENGINE

    return LAMMPS_ENGINE


#: Engines are imported when they are chosen: each needs a package of its own.
_KINDS = {"ase": _ase, "openmm": _openmm, "ipi": _ipi, "lammps": _lammps}
