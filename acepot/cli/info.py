"""`acepot info`: a model file, the basis of a configuration, or the compiled evaluator."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.fitting.pipeline import resolved_basis
from acepot.report.description import describe_basis, describe_model, describe_native

_EPILOG = """examples:
  acepot info Si/model.acepot
  acepot info fit.toml              the size of the basis, before it is built
  acepot info --native              instruction set and threads of the compiled evaluator
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument(
        "file", nargs="?", metavar="MODEL|CONFIG.toml", help="model file or configuration"
    )
    verb.add_argument("--native", action="store_true", help="describe the compiled evaluator")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.native == (options.file is not None):
        raise InputError("info: expected a file or --native, one of them")
    if options.native:
        lines = describe_native()
    else:
        is_config = options.file.endswith(".toml")
        lines = (
            describe_basis(resolved_basis(options.file))
            if is_config
            else describe_model(options.file)
        )
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        show(f"{name:<{width}}  {value}")
    return 0
