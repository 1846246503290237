"""`acepot export`: a model in the form that an engine reads."""

from __future__ import annotations

import argparse
from typing import Any

from acepot.cli.terminal import show
from acepot.export import export

_EPILOG = """\
tables: for LAMMPS' pair_style acepot. Such a file follows the version of acepot: keep the model.

examples:
  acepot export Si/model.acepot Si.tables
  acepot export Cu.yace Cu.tables --format tables
"""


def add_to(verbs: Any) -> argparse.ArgumentParser:
    """Describe the verb."""
    text = "write a model in the form that an engine reads"
    verb: argparse.ArgumentParser = verbs.add_parser(
        "export", help=text, description=text, epilog=_EPILOG
    )
    verb.add_argument("model", metavar="MODEL", help="model file of any known format")
    verb.add_argument("target", metavar="OUT", help="file to write")
    verb.add_argument("--format", choices=("tables",), default="tables", help="form of OUT")
    return verb


def run(options: argparse.Namespace) -> int:
    """Do it."""
    size = export(options.model, options.target, options.format)
    show(f"written  {options.target}: {options.format}, {size} bytes")
    return 0
