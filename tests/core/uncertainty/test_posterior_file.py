"""Files of posteriors: the same bytes, and nothing that is damaged, newer or of another model."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import ModelFileError
from acepot.io.modelfile.container import pack
from acepot.model import Model
from acepot.uncertainty.posterior import Posterior, model_digest
from acepot.uncertainty.posterior_file import load_posterior, posterior_bytes, save_posterior


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    spec = acepot.resolve(acepot.BasisSpec(elements=("Si",), order=2, degree=5, cutoff=4.5))
    rng = np.random.default_rng(1)
    size = acepot.basis_size(spec)["total"]
    model = Model(spec, rng.normal(size=size), np.array([-1.0]))
    return Posterior(model, rng.normal(size=(size, size)), 0.02)


def test_a_posterior_comes_back_and_its_bytes_are_the_same(
    posterior: Posterior, tmp_path: Path
) -> None:
    path = tmp_path / "posterior.acepot"
    save_posterior(posterior, path)
    found = load_posterior(path, replace(posterior.model, provenance={"seen": "elsewhere"}))
    assert np.array_equal(found.factor, posterior.factor) and found.noise == posterior.noise
    assert posterior_bytes(found) == path.read_bytes()


def test_that_of_another_model_is_refused(posterior: Posterior, tmp_path: Path) -> None:
    path = tmp_path / "posterior.acepot"
    save_posterior(posterior, path)
    other = replace(posterior.model, coefficients=posterior.model.coefficients * (1 + 1e-12))
    with pytest.raises(ModelFileError, match="the posterior of another model"):
        load_posterior(path, other)


def test_a_model_is_no_posterior_and_a_posterior_no_model(
    posterior: Posterior, tmp_path: Path
) -> None:
    path = tmp_path / "model.acepot"
    acepot.save(posterior.model, path)
    with pytest.raises(ModelFileError, match="expected a posterior, got an energy model"):
        load_posterior(path, posterior.model)
    save_posterior(posterior, path)
    with pytest.raises(ModelFileError, match="expected a model of a known kind"):
        acepot.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "written by a newer acepot"),
        ({"rules": 99}, "written by a newer acepot"),
        ({"version": "1"}, "has no version"),
        ({"units": {"length": "bohr"}}, "expected the units"),
        ({"noise": -1.0}, "noise of 0 or more"),
        ({"noise": None}, "is missing"),
    ],
)
def test_headers_that_say_something_else_are_refused(
    posterior: Posterior, tmp_path: Path, change: dict, message: str
) -> None:
    header = {
        "kind": "posterior", "version": 1, "rules": 1, "noise": 0.02,
        "model": model_digest(posterior.model),
        "units": {"length": "angstrom", "energy": "eV"}, **change,
    }  # fmt: skip
    path = tmp_path / "posterior.acepot"
    path.write_bytes(pack(header, {"factor": posterior.factor}))
    with pytest.raises(ModelFileError, match=message):
        load_posterior(path, posterior.model)


def test_damage_is_noticed(posterior: Posterior, tmp_path: Path) -> None:
    data = bytearray(posterior_bytes(posterior))
    path = tmp_path / "posterior.acepot"
    place = data.index(posterior.factor.astype("<f8").tobytes()[:64])
    data[place + 70] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"posterior\.acepot"):
        load_posterior(path, posterior.model)
    path.write_bytes(posterior_bytes(posterior)[:-200])
    with pytest.raises(ModelFileError, match="damaged or not an acepot model file"):
        load_posterior(path, posterior.model)


def test_the_file_is_a_plain_zip_of_json_and_numbers(posterior: Posterior, tmp_path: Path) -> None:
    path = tmp_path / "posterior.acepot"
    save_posterior(posterior, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["header.json", "factor.bin"]
        header = json.loads(archive.read("header.json"))
        numbers = np.frombuffer(archive.read("factor.bin"), "<f8")
    assert header["arrays"]["factor"]["shape"] == list(posterior.factor.shape)
    assert np.array_equal(numbers.reshape(posterior.factor.shape), posterior.factor)
