"""Our models written as .yace and read back give the same numbers."""

import re
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.radial import Orthonormal
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import Identity
from acepot.io.pace.read import read_pace
from acepot.io.pace.write import write_yace
from acepot.laws import check, sample_structures
from acepot.model import Model
from acepot.structure import Structure

OWN = Path(__file__).parents[3] / "golden" / "data" / "pace"
SILICON = Path(__file__).parents[4] / "models" / "Si-mlearn" / "model.acepot"


def _crystal(rng: np.random.Generator, numbers: list[int]) -> Structure:
    sites = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)]) / 3
    cell = 7.4 * np.eye(3) + rng.normal(scale=0.3, size=(3, 3))
    positions = sites @ cell + rng.normal(scale=0.12, size=(27, 3))
    return Structure(rng.choice(numbers, 27), positions, cell, True)


def _compare(model: Model, path: Path, numbers: list[int]) -> None:
    report = write_yace(model, path)
    assert report.error < 1e-10
    again = read_pace(path)
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
    size = spec.expansion().size
    model = Model(
        spec,
        rng.normal(size=size) / 50,
        np.array([-2.0, -5.0]),
        provenance={"shortest distances": {"O-O": 1.9, "O-Si": 1.4, "Si-Si": 1.9}},
    )
    _compare(model, tmp_path / "sio.yace", [8, 14])


def test_our_own_pace_files_keep_their_functions_and_numbers(tmp_path):
    paths = sorted(p for p in OWN.iterdir() if p.suffix in (".ace", ".yace"))
    assert len(paths) == 8
    _keep(paths, tmp_path)


def test_potentials_of_pace_keep_their_functions_and_numbers(shared_data, tmp_path):
    folders = [shared_data / name for name in ("pace_potentials", "ta_fitsnap")]
    paths = sorted(p for f in folders for p in f.rglob("*") if p.suffix in (".ace", ".yace"))
    assert len(paths) >= 18
    _keep(paths, tmp_path)


def _keep(paths: list[Path], tmp_path: Path) -> None:
    """Nothing is expanded again, and a second export is the first one byte for byte."""
    names = re.compile(r"radbasename[:=]\s*([\w.]+)")
    for path in paths:
        first, second = tmp_path / "1.yace", tmp_path / "2.yace"
        model = acepot.load(path)
        report = write_yace(model, first)
        again = acepot.load(first)
        write_yace(again, second)
        assert first.read_bytes() == second.read_bytes(), path.name
        assert report.error == 0.0 and first.stat().st_size < 1.05 * path.stat().st_size + 200
        assert set(names.findall(first.read_text())) == set(names.findall(path.read_text()))
        structures = sample_structures(model, np.random.default_rng(4))
        one = acepot.Potential(model, threads=1).compute_all(structures)
        two = acepot.Potential(again, threads=1).compute_all(structures)
        for a, b in zip(one, two, strict=True):
            assert np.abs(a.energies - b.energies).max() < 1e-12 * max(1, np.abs(a.energies).max())
            assert np.abs(a.forces - b.forces).max() < 1e-11 * max(1, np.abs(a.forces).max())


def _two_densities(**more: object) -> Model:
    spec = resolve(BasisSpec(("Si",), order=2, degree=6.0, cutoff=5.0, pair=Pair(degree=3)))
    coefficients = np.random.default_rng(5).normal(size=(spec.expansion().size, 2)) / 20
    coefficients[-3:, 1] = 0.0
    fields = {"weights": (1.0, -0.5), "exponents": (1.0, 0.5)} | more
    embedding = Embedding("FinnisSinclairShiftedScaled", **fields)
    nonlinear = Nonlinear((embedding,))
    return Model(spec, coefficients.T[None], np.zeros(1), nonlinear=nonlinear)


def test_a_finnis_sinclair_model_obeys_every_law_when_read_back(tmp_path):
    model = _two_densities()
    _compare(model, tmp_path / "fs.yace", [14])
    assert all(finding.passed for finding in check(read_pace(tmp_path / "fs.yace")))


def test_a_pair_part_in_no_linear_density_is_refused(tmp_path):
    with pytest.raises(acepot.AceError, match="Si-Si: .*density with exponent 1"):
        write_yace(_two_densities(exponents=(0.9, 0.5)), tmp_path / "no.yace")
    swapped = _two_densities(exponents=(0.5, 1.0))  # the pair part is in the first density
    with pytest.raises(acepot.AceError, match="Si-Si: .*density with exponent 1"):
        write_yace(swapped, tmp_path / "no.yace")


@pytest.mark.parametrize(("body", "pair"), [(5.0, 6.0), (6.0, 5.5)])
def test_different_cutoffs_are_refused_with_their_error(tmp_path, body, pair):
    spec = resolve(BasisSpec(("Si",), order=2, degree=6.0, cutoff=body, pair=Pair(cutoff=pair)))
    model = Model(spec, np.ones(spec.expansion().size), np.zeros(1))
    with pytest.raises(acepot.AceError, match=rf"{body} .*{pair} .*error of only \de-0[3-6]"):
        write_yace(model, tmp_path / "no.yace")
    assert not (tmp_path / "no.yace").exists()


def test_cutoffs_that_differ_by_rounding_are_one(tmp_path):
    spec = resolve(
        BasisSpec(("Si",), order=2, degree=6.0, cutoff=5.0, pair=Pair(cutoff=5.000000000000001))
    )
    model = Model(spec, np.ones(spec.expansion().size) / 20, np.zeros(1))
    _compare(model, tmp_path / "same.yace", [14])


def test_functions_that_are_no_energies_are_refused(tmp_path):
    spec = resolve(BasisSpec(("Si",), order=2, degree=6.0, cutoff=5.0, total_l=1, parity=-1))
    model = Model(spec, np.ones(spec.expansion().size), np.zeros(1))
    with pytest.raises(acepot.AceError, match="expected true scalars, 0e, got 1o"):
        write_yace(model, tmp_path / "no.yace")


def test_a_kink_at_an_inner_cutoff_is_refused(tmp_path):
    fields = {"order": 2, "degree": 5.0, "cutoff": 5.0, "inner": 1.5, "pair": Pair(degree=0)}
    spec = resolve(BasisSpec(("Si",), radial=Orthonormal(transform=Identity()), **fields))
    model = Model(spec, np.ones(spec.expansion().size), np.zeros(1))
    with pytest.raises(acepot.AceError, match=r"relative error of .* kinks"):
        write_yace(model, tmp_path / "no.yace")


def test_n_counts_the_functions_of_each_l(tmp_path):
    """ML-PACE makes A of every n with every l: what nothing uses costs time there."""
    model = acepot.load(SILICON)
    write_yace(model, tmp_path / "si.yace")
    found = re.search(r"nradmax: (\d+), lmax: (\d+)", (tmp_path / "si.yace").read_text())
    write_yace(read_pace(tmp_path / "si.yace"), tmp_path / "again.yace")
    again = re.search(r"nradmax: (\d+), lmax: (\d+)", (tmp_path / "again.yace").read_text())
    assert found and again and found.groups() == again.groups() == ("20", "6")
