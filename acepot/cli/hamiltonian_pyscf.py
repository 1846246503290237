"""`acepot hamiltonian pyscf`: H and S of structures, calculated by PySCF."""

from __future__ import annotations

import argparse

from acepot.cli.terminal import show

_EPILOG = """\
One calculation a structure. What is finished lies in OUT.parts until all are there, and the same
command goes on.

examples:
  acepot hamiltonian pyscf molecules.xyz --basis sto-3g --xc pbe --out train.npz
  acepot hamiltonian pyscf fcc.xyz --basis gth-szv-molopt-sr --pseudo gth-pbe --kmesh 6 6 6 \
      --out fcc.npz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("structures", metavar="FILE", help="structures: molecules or crystals")
    verb.add_argument("--basis", required=True, metavar="NAME", help="basis of PySCF")
    verb.add_argument("--pseudo", metavar="NAME", help="pseudopotentials (all electrons)")
    verb.add_argument("--xc", default="pbe", metavar="NAME", help="functional (pbe)")
    verb.add_argument("--kmesh", nargs=3, type=int, default=(1, 1, 1), metavar="N",
                      help="points along each reciprocal lattice vector (1 1 1)")  # fmt: skip
    verb.add_argument("--processes", type=int, default=1, metavar="N", help="at once (1)")
    verb.add_argument("--out", required=True, metavar="FILE.npz", help="for the matrices")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.hamiltonian.pyscf_data import Method, make
    from acepot.io.structures.datasets import read_structures

    structures, _ = read_structures(options.structures)
    method = Method(
        basis=options.basis, pseudo=options.pseudo, xc=options.xc, kmesh=tuple(options.kmesh)
    )
    made = make(structures, options.out, method, options.processes)
    for number, one in enumerate(made):
        show(f"{one.name or f'structure {number}'}: overlap check {one.residual:.1e}")
    show(f"written  {options.out}")
    return 0
