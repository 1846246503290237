"""`acepot friction eval`: errors of a model of friction, or its tensors for structures."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from acepot.cli.terminal import show
from acepot.errors import InputError

_EPILOG = """\
FILE holds friction tensors (NPZ, or HDF5 of ACEfriction.jl), and the errors are printed; or it
holds structures of any format that acepot reads, and --write says where the tensors go.

examples:
  acepot friction eval friction/model.acepot test.npz --plot parity.png
  acepot friction eval friction/model.acepot frames.xyz --write predicted.npz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="a model of friction")
    verb.add_argument("data", metavar="FILE", help="friction tensors, or structures")
    verb.add_argument("--unit", type=float, default=1.0, help="of the file's numbers, in amu/fs")
    verb.add_argument("--element", default="", help="of particles with the atomic number 0")
    verb.add_argument("--write", metavar="FILE", help="predicted tensors as NPZ")
    verb.add_argument("--plot", metavar="FILE", help="parity of predictions as PNG")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.friction.data import FrictionData
    from acepot.friction.evaluator import FrictionEvaluator
    from acepot.friction.fit import errors_of
    from acepot.friction.pipeline import told
    from acepot.friction.readers import read_friction, write_friction
    from acepot.friction.report import draw_parity
    from acepot.io.registry import load
    from acepot.io.structures.datasets import read_structures
    from acepot.model import FrictionModel

    model = load(options.model, FrictionModel)
    if Path(options.data).suffix in (".npz", ".h5", ".hdf5"):
        data = read_friction(options.data, unit=options.unit, element=options.element, say=show)
        show(told(errors_of(model, data)))
        structures = [one.structure for one in data]
        if options.plot:
            draw_parity(Path(options.plot), model, data)
    else:
        if options.plot or not options.write:
            raise InputError(f"{options.data}: structures without friction: expected --write FILE")
        structures, _ = read_structures(options.data)
    if options.write:
        evaluator = FrictionEvaluator(model)
        every = [FrictionData(one, evaluator.gamma(one), np.arange(len(one))) for one in structures]
        write_friction(options.write, every)
        show(f"written  {options.write}")
    return 0
