"""`acepot hamiltonian fit`: a Hamiltonian in atomic orbitals from matrices of a program."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.terminal import show
from acepot.hamiltonian.config import HamiltonianConfig, HamiltonianData, load_config
from acepot.run.progress import Progress

_EPILOG = """\
CONFIG.toml holds everything (docs/hamiltonian_toml.md); a file or folder with matrices in its place
is fitted with the defaults. DIR then holds hamiltonian.toml (every default written out),
model.acepot, report.json and errors.png.

examples:
  acepot hamiltonian fit silicon.npz --out Si
  acepot hamiltonian fit train.npz --test test.npz --electrons Al=3 --out Al
  acepot hamiltonian fit aluminium.toml --out Al
  acepot hamiltonian bands Al/model.acepot fcc.xyz --reference test.npz --out bands.png
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="CONFIG.toml, or files or folders with matrices"
    )
    verb.add_argument("--test", nargs="+", default=[], metavar="FILE", help="only predicted")
    verb.add_argument(
        "--electrons", nargs="+", default=[], metavar="X=N", help="valence electrons of an element"
    )
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for the results")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.hamiltonian.pipeline import run_hamiltonian

    progress = Progress("fit", 1000)
    with progress.alive():
        run_hamiltonian(
            configuration(options), options.out, say=show,
            progress=lambda _what, part: progress.update(round(1000 * part)),
        )  # fmt: skip
    show(f"written  {Path(options.out)}")
    return 0


def configuration(options: argparse.Namespace) -> HamiltonianConfig:
    """The configuration that a command line gives.

    Raises:
        InputError: a TOML file beside others, or electrons that are no numbers.
    """
    from acepot.errors import InputError

    given = [one for one in options.inputs if one.endswith(".toml")]
    if given:
        if len(options.inputs) > 1 or options.test or options.electrons:
            raise InputError(f"{given[0]}: expected a configuration alone, or files and options")
        return load_config(given[0])
    electrons = {}
    for item in options.electrons:
        symbol, _, number = item.partition("=")
        try:
            electrons[symbol] = float(number)
        except ValueError:
            raise InputError(f"--electrons: expected such as Al=3, got {item!r}") from None
    return HamiltonianConfig(HamiltonianData(tuple(options.inputs), tuple(options.test), electrons))
