"""`acepot hamiltonian repulsion`: from a Hamiltonian to energies and forces."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show

_EPILOG = """\
What energies, forces and virials of the structures have beyond the free energy of the model's
electrons is fitted by an ACE; OUT.acepot holds both. ase_ace.TightBindingCalculator and `acepot md
--engine ase` run it.

example:
  acepot hamiltonian repulsion Si/model.acepot train.xyz --kspacing 0.25 --out tb.acepot
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model of a Hamiltonian")
    verb.add_argument("structures", metavar="FILE", help="structures with energies and forces")
    verb.add_argument("--kspacing", type=float, metavar="1/A", help="of k (the model's)")
    verb.add_argument("--temperature", type=float, metavar="K", help="of electrons (the model's)")
    verb.add_argument("--out", required=True, metavar="OUT.acepot", help="for the model")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from dataclasses import replace

    from acepot.hamiltonian.tight_binding import fit_repulsion
    from acepot.io.modelfile import save
    from acepot.io.registry import load
    from acepot.io.structures.datasets import read_structures
    from acepot.model import HamiltonianModel
    from acepot.run.progress import Progress

    model = load(options.model, HamiltonianModel)
    filling = model.filling
    if options.kspacing is not None:
        filling = replace(filling, kmesh=None, kspacing=options.kspacing)
    if options.temperature is not None:
        filling = replace(filling, temperature=options.temperature)
    structures, _ = read_structures(options.structures)
    progress = Progress("electrons of structures", 1000)
    made, fitted = fit_repulsion(
        model, structures, filling=filling,
        progress=lambda _what, part: progress.update(round(1000 * part)),
    )  # fmt: skip
    save(made, options.out)
    show(f"repulsion of {fitted.model.coefficients.shape[2]} functions")
    show(f"written  {options.out}")
    return 0
