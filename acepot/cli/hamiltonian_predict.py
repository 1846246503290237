"""`acepot hamiltonian predict`: H and S of structures, in a file."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show
from acepot.run.progress import Progress

_EPILOG = """\
FILE.npz holds H(T) in eV and S(T) as sparse blocks (docs/hamiltonian_data.md); `acepot hamiltonian
convert` writes it in the format of other programs.

example:
  acepot hamiltonian predict Si/model.acepot large.xyz --out large.npz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model of a Hamiltonian")
    verb.add_argument("structures", metavar="FILE", help="structures")
    verb.add_argument("--out", required=True, metavar="FILE.npz", help="for the matrices")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.hamiltonian.band_energy import electrons_of
    from acepot.hamiltonian.evaluator import HamiltonianEvaluator
    from acepot.hamiltonian.formats.own import write_own
    from acepot.hamiltonian.matrices import Snapshot
    from acepot.io.registry import load
    from acepot.io.structures.datasets import read_structures
    from acepot.model import HamiltonianModel

    model = load(options.model, HamiltonianModel)
    evaluator, found = HamiltonianEvaluator(model), []
    structures, _ = read_structures(options.structures)
    progress = Progress("structures", len(structures))
    for number, structure in enumerate(structures):
        made = evaluator.matrices(structure)
        electrons = electrons_of(model, structure) if model.electrons else None
        found.append(Snapshot(made.hamiltonian[0], made.overlap, electrons, name=structure.name))
        progress.update(number + 1)
    write_own(options.out, found)
    show(f"written  {options.out}")
    return 0
