"""`acepot completion`: words that the shell completes."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show
from acepot.errors import MissingDependency

_EPILOG = """examples:
  acepot completion bash > ~/.local/share/bash-completion/completions/acepot
  acepot completion zsh > ~/.zfunc/_acepot       with fpath+=~/.zfunc in .zshrc
  acepot completion tcsh > ~/.acepot.completion  and source it in .tcshrc
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script is printed")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    try:
        import shtab
    except ImportError as error:
        raise MissingDependency("completion needs shtab: pip install shtab") from error
    from acepot.cli.main import parser

    show(shtab.complete(parser(), shell=options.shell))
    return 0
