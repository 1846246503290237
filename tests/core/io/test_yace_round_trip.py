"""Our models written as .yace and read back give the same numbers."""

from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.spec import BasisSpec, Pair, resolve
from acepot.io.pace.read import read_yace
from acepot.io.pace.write import write_yace
from acepot.lower import expansion
from acepot.model import Model
from acepot.structure import Structure

SILICON = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"


def _crystal(rng: np.random.Generator, numbers: list[int]) -> Structure:
    sites = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)]) / 3
    cell = 7.4 * np.eye(3) + rng.normal(scale=0.3, size=(3, 3))
    positions = sites @ cell + rng.normal(scale=0.12, size=(27, 3))
    return Structure(rng.choice(numbers, 27), positions, cell, True)


def _compare(model: Model, path: Path, numbers: list[int]) -> None:
    report = write_yace(model, path)
    assert report.error < 1e-10
    again = read_yace(path)
    rng = np.random.default_rng(2)
    structures = [_crystal(rng, numbers) for _ in range(3)]
    first = acepot.Potential(model, threads=1).compute_all(structures)
    second = acepot.Potential(again, threads=1).compute_all(structures)
    for one, other in zip(first, second, strict=True):
        assert abs(one.energy - other.energy) / 27 < 1e-9
        scale = max(1.0, np.abs(one.forces).max())
        assert np.abs(one.forces - other.forces).max() < 1e-7 * scale


def test_the_shipped_silicon_model(tmp_path):
    _compare(acepot.load(SILICON), tmp_path / "si.yace", [14])
    assert (tmp_path / "si.yace").stat().st_size < 1_000_000


def test_a_model_of_two_elements(tmp_path):
    spec = resolve(BasisSpec(("O", "Si"), order=3, degree=(10.0, 8.0, 7.0), cutoff=5.0))
    rng = np.random.default_rng(1)
    size = expansion(spec).size
    model = Model(
        spec,
        rng.normal(size=size) / 50,
        np.array([-2.0, -5.0]),
        provenance={"shortest distances": {"O-O": 1.9, "O-Si": 1.4, "Si-Si": 1.9}},
    )
    _compare(model, tmp_path / "sio.yace", [8, 14])


def test_different_cutoffs_are_refused_with_their_numbers(tmp_path):
    spec = resolve(BasisSpec(("Si",), order=2, degree=6.0, cutoff=5.0, pair=Pair(cutoff=6.0)))
    model = Model(spec, np.ones(expansion(spec).size), np.zeros(1))
    with pytest.raises(acepot.AceError, match=r"5.*6|6.*5"):
        write_yace(model, tmp_path / "no.yace")
    assert not (tmp_path / "no.yace").exists()
