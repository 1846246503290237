"""`acepot export`: a model in the form that an engine reads."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show
from acepot.conversion import convert
from acepot.errors import InputError
from kim_ace import export_kim

_EPILOG = """\
tables: for LAMMPS' pair_style acepot. Such a file follows the version of acepot: keep the model.
metatomic: an AtomisticModel, for ASE, i-PI, torch-sim and every other program that runs those, with
the compiled kernel (--backend native, on a CPU) in the folder `extensions` beside OUT, or with the
evaluator in torch (--backend torch, on GPUs). Running such files runs the code in them: take none
from strangers. torch_ace/README.md tells more.
kim: a folder, named as the model will be, that KIM's tools install for programs with the KIM API;
kim_ace/README.md tells more.

examples:
  acepot export Si/model.acepot Si.tables
  acepot export Cu.yace Cu.tables --format tables
  acepot export Si/model.acepot Si.pt --format metatomic
  acepot export Si/model.acepot acepot_Si --format kim
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model file of any known format")
    verb.add_argument("target", metavar="OUT", help="file or folder to write")
    verb.add_argument(
        "--format", choices=("tables", "metatomic", "kim"), default="tables", help="form of OUT"
    )
    verb.add_argument(
        "--backend", choices=("native", "torch"), help="of metatomic: what computes (native)"
    )


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.format == "metatomic":
        return _metatomic(options)
    if options.backend:
        raise InputError("--backend: only --format metatomic has one")
    if options.format == "kim":
        return _kim(options)
    done = convert(options.model, options.target, options.format)
    show(f"written  {options.target}: {options.format}, {done.size} bytes")
    return 0


def _metatomic(options: argparse.Namespace) -> int:
    from torch_ace.metatomic import export_metatomic  # loads torch

    extensions = export_metatomic(options.model, options.target, options.backend or "native")
    show(f"written  {options.target}: metatomic")
    if extensions:
        show(f"written  {extensions}: compiled operators; give this folder with the file")
    return 0


def _kim(options: argparse.Namespace) -> int:
    folder = export_kim(options.model, options.target)
    show(f"written  {folder}: source of the KIM model {folder.name}")
    show(f"install  kim-api-collections-management install user {folder}")
    return 0
