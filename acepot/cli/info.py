"""`acepot info`: what is in a model file, or how large the basis of a configuration is."""

from __future__ import annotations

import argparse
from typing import Any

from acepot.cli.terminal import show
from acepot.description import describe_config, describe_model

_EPILOG = """examples:
  acepot info Si/model.acepot
  acepot info fit.toml              the size of the basis, before it is built
"""


def add_to(verbs: Any) -> argparse.ArgumentParser:
    """Describe the verb."""
    text = "what is in a model file, or how large a configured basis is"
    verb: argparse.ArgumentParser = verbs.add_parser(
        "info", help=text, description=text, epilog=_EPILOG
    )
    verb.add_argument("file", metavar="MODEL|CONFIG.toml", help="model file or configuration")
    return verb


def run(options: argparse.Namespace) -> int:
    """Do it."""
    describe = describe_config if options.file.endswith(".toml") else describe_model
    lines = describe(options.file)
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        show(f"{name:<{width}}  {value}")
    return 0
