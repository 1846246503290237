"""Writes pace/: our own PACE files, and what pacemaker's evaluator says about them.

Run in an environment with python-ace 0.4.0rc1 and this package, with tests/fuzz on PYTHONPATH:

    OMP_NUM_THREADS=1 PYTHONPATH=.:tests/fuzz python tests/golden/data/make_pace.py

python-ace is not free software and nothing of it is kept here: the potentials are ours, and the
numbers are what its ACECTildeEvaluator answers.
"""

from __future__ import annotations

import itertools
import lzma
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import seeds
from acepot.io.extxyz import write
from pyace import PyACECalculator

from acepot import Model, Structure
from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.io.pace import write_yace

FOLDER = Path(__file__).parent / "pace"
NOTES = {"shortest distances": {"O-O": 1.9, "O-Si": 1.4, "Si-Si": 1.9}}


def written() -> dict[str, Model]:
    """Models that the library exports: order 4, canonical with two elements, two densities."""
    rng = np.random.default_rng(12)

    def model(densities: int, **fields: object) -> Model:
        spec = resolve(BasisSpec(**fields))
        coefficients = rng.normal(size=(spec.expansion().size, densities)) / 20
        e0 = np.array([-2.0, -5.0])[: len(spec.elements)]
        if densities == 1:
            return Model(spec, coefficients[:, 0], e0, provenance=NOTES)
        coefficients[-6:, 1] = 0.0  # the pair part is in the linear density alone
        kinds = ("FinnisSinclairShiftedScaled", "FinnisSinclair")
        how = Nonlinear(tuple(Embedding(k, (1.0, 0.8), (1.0, 0.5)) for k in kinds))
        return Model(spec, coefficients.T[None], e0, provenance=NOTES, nonlinear=how)

    oxide = {"elements": ("O", "Si"), "cutoff": 4.2}
    return {
        "written-order-4": model(1, elements=("Si",), order=4, degree=(8, 8, 8, 8.5), cutoff=4.5),
        "written-canonical": model(
            1, order=3, degree=(5, 5, 5), formulation="canonical", pair=Pair(degree=3), **oxide
        ),
        "written-densities": model(2, order=3, degree=(4, 4, 4), pair=Pair(degree=2), **oxide),
    }


def structures(rng: np.random.Generator, numbers: list[int]) -> list[Structure]:
    """Pairs of atoms, molecules that reach into each other's core, triclinic cells."""
    out = []
    for pair in itertools.combinations_with_replacement(sorted(set(numbers)), 2):
        for distance in (1.1, 1.9, 3.1):
            axis = rng.normal(size=3)
            ends = [[0, 0, 0], distance * axis / np.linalg.norm(axis)]
            out.append(Structure(pair, ends, name="pair"))
    for edge in (2.6, 3.4):
        sites = np.array(list(itertools.product((0, 1), repeat=3)))[:7] / 2
        positions = sites * edge + rng.normal(scale=0.15, size=(7, 3))
        out.append(Structure(rng.permutation(np.resize(numbers, 7)), positions, name="molecule"))
    for edge in (3.9, 4.4, 4.9, 5.4):
        sites = np.array(list(itertools.product((0, 1), repeat=3))) / 2
        cell = edge * np.eye(3) + rng.normal(scale=0.25, size=(3, 3))
        positions = sites @ cell + rng.normal(scale=0.12, size=(8, 3))
        out.append(
            Structure(rng.permutation(np.resize(numbers, 8)), positions, cell, True, name="cell")
        )
    return out


def labelled(structure: Structure, path: Path) -> Structure:
    """The structure with the energy, forces and virial of the original evaluator."""
    atoms = ase.Atoms(
        numbers=structure.numbers, positions=structure.positions, cell=structure.cell,
        pbc=structure.pbc,
    )  # fmt: skip
    atoms.calc = PyACECalculator(str(path), recursive_evaluator=False)
    energy, forces, virial = atoms.get_potential_energy(), atoms.get_forces(), None
    if structure.pbc.all():
        virial = -structure.volume * atoms.get_stress(voigt=False)
    return replace(
        structure, energy=float(energy), forces=forces, virial=virial, config_type=structure.name
    )


def main() -> None:
    """Write everything anew."""
    warnings.simplefilter("ignore")
    texts = {f"{name}.yace": text for name, text in seeds.seeds()["yace"].items()}
    del texts["julia.yace"]  # pacemaker does not read what ACE.jl wrote
    texts["linear.yace"] = seeds._pace("ChebLinear", "distance")
    texts["density.ace"] = seeds._ACE.encode()
    with tempfile.TemporaryDirectory() as folder:
        for name, model in written().items():
            write_yace(model, Path(folder) / f"{name}.yace")
            texts[f"{name}.yace"] = (Path(folder) / f"{name}.yace").read_bytes()
        rng = np.random.default_rng(4)
        for name, text in texts.items():
            path = Path(folder) / name
            path.write_bytes(text)
            numbers = [14] if name in ("density.ace", "written-order-4.yace") else [8, 14, 14]
            found = [labelled(s, path) for s in structures(rng, numbers)]
            write(Path(folder) / "found.extxyz", found)
            long = name.startswith("written")
            kept = FOLDER / (f"{name}.xz" if long else name)
            kept.write_bytes(lzma.compress(text, preset=9) if long else text)
            reference = lzma.compress((Path(folder) / "found.extxyz").read_bytes(), preset=9)
            (FOLDER / f"{name}.reference.extxyz.xz").write_bytes(reference)


if __name__ == "__main__":
    main()
