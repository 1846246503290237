"""Configurations of an earlier version ask for the same fit and get the same predictions.

The short files are as people write them; NAME.resolved.toml was left by the fit of then, with
every default written out.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomls

import acepot
from acepot.cli.main import main
from acepot.fitting.config import load_config
from acepot.fitting.solvers import QR

DATA = Path(__file__).parent / "data" / "fits"
#: Design rows are summed in another order than then, and elsewhere elementary functions round
#: differently: predictions agree; coefficients need not, because the data leave some combinations
#: of them almost open.
ELSEWHERE = 1e-6
#: What a cut-off that is not set was then, 2.5 r0; now it is 4.5 Å at least.
CUTOFF = {"O-O": 4.25, "O-Si": 5.125, "Si-Si": 6.0}


@pytest.mark.parametrize("kind", ["", ".resolved"], ids=["short", "resolved"])
@pytest.mark.parametrize("name", tomls.FITS)
def test_a_configuration_gives_the_fit_it_gave(name, kind, stored_fits):
    config = load_config(DATA / f"{name}{kind}.toml")
    if config.data.fit is None:  # then virials were left out unless they were asked for
        config = replace(config, data=replace(config.data, fit=("energy", "forces")))
    if config.basis.cutoff is None:
        config = replace(config, basis=replace(config.basis, cutoff=CUTOFF))
    if isinstance(config.solver, QR) and config.solver.damping is None:  # then it was 0
        config = replace(config, solver=replace(config.solver, damping=0.0))
    fit = acepot.run_fit(config, threads=1)
    found = tomls.outcome(fit, lambda basis: basis.expansion())
    stored = {k.split("/")[1]: v for k, v in stored_fits.items() if k.split("/")[0] == name}
    assert set(found) == set(stored)
    np.testing.assert_array_equal(found["labels"], stored["labels"])
    np.testing.assert_allclose(found["energies"], stored["energies"], rtol=ELSEWHERE)


def test_the_configurations_name_every_solver_prior_transform_family_and_envelope():
    text = "".join((DATA / f"{name}.resolved.toml").read_text() for name in tomls.FITS)
    for word in (
        "qr", "blr", "none", "algebraic", "exponential", "gaussian", "algebraic_ace1",
        "algebraic_06", "agnesi", "polynomial", "morse", "identity", "orthonormal", "jacobi",
        "legendre", "cheb_exp_cos", "cheb_pow", "sbessel", "x", "r", "r_shifted", "canonical",
    ):  # fmt: skip
        assert f'"{word}"' in text, word


@pytest.mark.parametrize("name", tomls.REPORTED)
def test_a_report_says_what_it_said(name, tmp_path, capsys):
    """Every key of then is there with its value; the folder is made by the command line."""
    words = ["fit", str(DATA / f"{name}.toml"), "--out", str(tmp_path), "--threads", "1"]
    assert main([*words, "--no-plots"]) == 0
    capsys.readouterr()
    then = json.loads((DATA / f"{name}.report.json").read_text())
    now = json.loads((tmp_path / "report.json").read_text())
    then.pop("check")  # differences of rounding size
    assert "check" in now
    compare(now, then, "report", ELSEWHERE)
    assert (tmp_path / "model.acepot").exists() and (tmp_path / "fit.toml").exists()


def compare(now: Any, then: Any, where: str, tolerance: float) -> None:
    if isinstance(then, dict):
        assert set(then) <= set(now), f"{where} lacks {set(then) - set(now)}"
        for key, value in then.items():
            compare(now[key], value, f"{where}.{key}", tolerance)
    elif isinstance(then, float):
        close = math.isclose(now, then, rel_tol=tolerance, abs_tol=tolerance)
        assert now == then or close, f"{where}: {now!r}, not {then!r}"
    else:
        assert now == then, f"{where}: {now!r}, not {then!r}"


def test_the_model_file_that_a_fit_left(stored_fits):
    name = tomls.REPORTED[-1]
    model = acepot.load(DATA / f"{name}.acepot")
    parts = {"coefficients": model.coefficients[0, 0], "e0": model.e0, "committee": model.committee}
    for key, part in parts.items():
        assert part.tobytes() == stored_fits[f"{name}/{key}"].tobytes()
    assert model.provenance["shortest distances"].keys() == {"O-O", "O-Si", "Si-Si"}
