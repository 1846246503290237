"""`acepot charges eval`: errors of a model with charges, or its charges for structures."""

from __future__ import annotations

import argparse

import numpy as np

from acepot.cli.terminal import show

_EPILOG = """\
Errors are printed of the labels that FILE has: energies, forces, virials, and, under these names or
with REF_ in front, charges, dipole and born. `charge` is the total charge of a structure.

examples:
  acepot charges eval NaCl/model.acepot test.extxyz
  acepot charges eval NaCl/model.acepot frames.xyz --born --write charges.extxyz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="a model with charges")
    verb.add_argument("structures", metavar="FILE", help="structures, with labels or without")
    verb.add_argument("--write", metavar="FILE", help="structures with their charges, extended XYZ")
    verb.add_argument("--born", action="store_true", help="with Born effective charges, 9 an atom")
    verb.add_argument("--plot", metavar="FILE", help="parity of predictions as PNG")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from pathlib import Path

    from acepot.charges.evaluator import ChargeEvaluator
    from acepot.errors import InputError
    from acepot.fitting.charges.fit import errors_of
    from acepot.fitting.charges.pipeline import draw_parity, read_charged
    from acepot.io.registry import load
    from acepot.io.structures.extxyz import write_structures
    from acepot.model import ChargeModel
    from acepot.potential import Potential

    if options.born and not options.write:
        raise InputError("--born: expected --write FILE beside it")
    model = load(options.model, ChargeModel)
    structures, line = read_charged(options.structures)
    show(line)
    if any(
        s.energy is not None or s.forces is not None or set(s.labels) & {"charges", "dipole"}
        for s in structures
    ):
        show(errors_of(model, structures).line())
    if options.plot:
        draw_parity(Path(options.plot), model, structures)
    if options.write:
        evaluator = ChargeEvaluator(model)
        results = Potential(model).compute_all(structures)
        others = []
        for structure, found in zip(structures, evaluator.charges(structures), strict=True):
            more = {"charges": found.values[:, None]}
            if found.dipole is not None:
                more["dipole"] = found.dipole
            if options.born:
                more["born"] = evaluator.born_charges(structure).reshape(-1, 9)
            others.append(more)
        write_structures(
            options.write, structures, energies=np.array([r.energy for r in results]),
            forces=[r.forces for r in results], others=others,
        )  # fmt: skip
        show(f"written  {options.write}")
    return 0
