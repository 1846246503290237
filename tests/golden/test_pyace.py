"""Files that the library writes, in the evaluators of pacemaker's own package.

It is not free software and no dependency; `pip install python-ace` lets these tests run.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest

from acepot import Model, Potential, Structure, load
from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.io.pace import write_yace

pytestmark = pytest.mark.filterwarnings("ignore")
SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"


def silica() -> Model:
    cutoffs = {"O-O": 4.6, "O-Si": 4.8, "Si-O": 5.0, "Si-Si": 5.3}
    spec = resolve(BasisSpec(("O", "Si"), order=3, degree=(10.0, 8.0, 7.0), cutoff=cutoffs))
    coefficients = np.random.default_rng(1).normal(size=spec.expansion().size) / 50
    shortest = {"shortest distances": {"O-O": 1.9, "O-Si": 1.4, "Si-Si": 1.9}}
    return Model(spec, coefficients, np.array([-2.0, -5.0]), provenance=shortest)


@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize("make", [lambda: load(SILICON), silica], ids=["silicon", "silica"])
def test_exported_models_are_the_same_in_pacemaker(make, recursive, tmp_path):
    pyace = pytest.importorskip("pyace")
    ase = pytest.importorskip("ase")
    model, path = make(), tmp_path / "model.yace"
    write_yace(model, path)
    calculator = pyace.PyACECalculator(str(path), recursive_evaluator=recursive)
    rng = np.random.default_rng(3)
    for _ in range(3):
        sites = np.array(list(itertools.product((0, 1), repeat=3))) / 2
        cell = 5.1 * np.eye(3) + rng.normal(scale=0.25, size=(3, 3))
        positions = sites @ cell + rng.normal(scale=0.1, size=(8, 3))
        numbers = rng.permutation(np.resize(model.numbers, 8))
        ours = Potential(model, threads=1).compute(Structure(numbers, positions, cell, True))
        atoms = ase.Atoms(numbers=numbers, positions=positions, cell=cell, pbc=True)
        atoms.calc = calculator
        large = max(1.0, np.abs(ours.forces).max())
        assert abs(atoms.get_potential_energy() - ours.energy) / 8 < 1e-9
        assert np.abs(atoms.get_forces() - ours.forces).max() < 1e-8 * large
