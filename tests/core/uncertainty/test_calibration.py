"""Leaving out is what another fit without the data gives; intervals hold as often as stated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot.errors import InputError, ModelFileError
from acepot.fitting.observables import Observable
from acepot.io.structures.labels import LabelKeys
from acepot.report.evaluation import evaluate_file
from acepot.report.reliability import reliability_picture, stated_on
from acepot.structure import Structure
from acepot.uncertainty.calibration import LEVELS, Calibration, calibrate, gathered
from acepot.uncertainty.coverage import coverage, coverage_table, reliability, spearman
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior import Posterior
from acepot.uncertainty.predictions import Prediction, without_family, without_frame

DATA = Path(__file__).parents[3] / "examples" / "data"


@pytest.fixture(scope="module")
def fit() -> acepot.Fit:
    structures, _ = acepot.read_structures(DATA / "Si_test.extxyz.xz")
    return acepot.fit(
        structures,
        {"order": 2, "degree": 6, "cutoff": 4.5},
        observables=("energy", "forces"),
        restraint={"weight": 0.0},
    )


def _refitted(fit: acepot.Fit, kept: list[Structure]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and a factor of the covariance of the coefficients by the rows of these alone."""
    potential = UncertainPotential(fit.posterior, 1)
    gamma = fit.recipe.prior.gamma(fit.assembled.basis.expanded)
    blocks, targets = [np.eye(len(gamma)) / np.sqrt(fit.solution.prior_variance)], []
    for s in kept:
        for one in Observable.among(fit.recipe.observables):
            w = one.factor(fit.weight(s, one), len(s)) / np.sqrt(fit.solution.noise)
            blocks.append(w * one.rows(s, potential.design) / gamma)
            targets.append(w * one.label(s, float(fit.model.e0[0]) * len(s)))
    q, r = np.linalg.qr(np.concatenate(blocks))
    mean = np.linalg.solve(r, q[len(gamma) :].T @ np.concatenate(targets))
    return mean / gamma, np.linalg.inv(r) / gamma[:, None]


@pytest.mark.parametrize("number", [0, 9, 24])
def test_a_frame_left_out_is_what_a_fit_without_it_predicts(fit: acepot.Fit, number: int) -> None:
    found = fit.left_out[number]
    structure = fit.train[number]
    kept = [s for s in fit.train if s is not structure]
    c, factor = _refitted(fit, kept)
    potential = UncertainPotential(fit.posterior, 1)
    for name in found.errors:
        one = Observable.known[name]
        rows = one.rows(structure, potential.design)
        errors = rows @ c - one.label(structure, float(fit.model.e0[0]) * len(structure))
        sigmas = np.linalg.norm(rows @ factor, axis=1)
        assert found.errors[name] == pytest.approx(errors, abs=1e-5 * abs(errors).max())
        assert found.sigmas[name] == pytest.approx(sigmas, abs=1e-5 * sigmas.max())


def test_a_family_left_out_is_what_a_fit_without_it_predicts(fit: acepot.Fit) -> None:
    potential = UncertainPotential(fit.posterior, 1)
    found = {id(p.structure): p for p in without_family(potential, fit.train, fit.weight)}
    assert len(found) == len(fit.train)
    family = [s for s in fit.train if s.config_type == "Vacancy"]
    c, factor = _refitted(fit, [s for s in fit.train if s.config_type != "Vacancy"])
    for s in family[:3]:
        rows = Observable.known["forces"].rows(s, potential.design)
        errors, p = rows @ c - s.forces.ravel(), found[id(s)]
        sigmas = np.linalg.norm(rows @ factor, axis=1)
        assert p.errors["forces"] == pytest.approx(errors, abs=1e-5 * abs(errors).max())
        assert p.sigmas["forces"] == pytest.approx(sigmas, abs=1e-5 * sigmas.max())


def test_leverages_sum_to_the_effective_parameters(fit: acepot.Fit) -> None:
    """The trace of the hat matrix, which the solver knows by its singular values."""
    total = sum(float(h.sum()) for p in fit.left_out for h in p.leverage.values())
    assert total == pytest.approx(fit.solution.report["effective parameters"], rel=1e-6)
    assert {name for p in fit.left_out for name in p.leverage} == {"energy", "forces"}


def test_unfitted_virials_are_predicted_too(fit: acepot.Fit) -> None:
    labelled = [p for p in fit.left_out if p.structure.virial is not None]
    assert labelled and all("virial" in p.errors for p in labelled)


# ------------------------------------------------------------------ intervals


def _drawn(count: int, seed: int, groups: tuple[str, ...] = ("a",)) -> list[Prediction]:
    """Predictions of structures whose errors are twice as large as σ says, with fat tails."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        structure = Structure(
            [14, 14], [[0.0, 0, 0], [2.0, 0, 0]], config_type=groups[k % len(groups)]
        )
        factor = 1.0 + 3.0 * groups.index(structure.config_type)
        sigmas = {"energy": np.exp(rng.normal(size=1)), "forces": np.exp(rng.normal(size=6))}
        errors = {n: 2 * factor * s * rng.standard_t(4, len(s)) for n, s in sigmas.items()}
        made.append(Prediction(structure, errors, sigmas, {}))
    return made


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_intervals_hold_on_fresh_data_whatever_the_distribution(seed: int) -> None:
    """2,000 structures: the standard deviation of a part of 0.9 is 0.7 points."""
    found = calibrate(_drawn(2000, seed))
    for values in gathered(_drawn(2000, seed + 100)):
        assert reliability(values, found) == pytest.approx(LEVELS, abs=0.035)


def test_conformal_intervals_hold_on_average_from_few_data() -> None:
    """Mean coverage over 250 calibrations with 24 values each: exact but for sampling."""
    inside = np.mean(
        [
            reliability(gathered(_drawn(40, 1000 + k))[0], calibrate(_drawn(24, k)))
            for k in range(250)
        ],
        axis=0,
    )
    assert inside == pytest.approx(LEVELS, abs=0.025)


def test_sigma_is_scaled_to_the_size_of_errors() -> None:
    rng = np.random.default_rng(3)
    structure = Structure([14], [[0.0, 0, 0]])
    sigmas = np.exp(rng.normal(size=(4000, 3)))
    drawn = [
        Prediction(
            structure, {"forces": 5 * np.hypot(s, 0.4) * rng.normal(size=3)}, {"forces": s}, {}
        )
        for s in sigmas
    ]
    found = calibrate(drawn).of("forces")
    assert found.scale == pytest.approx(5, rel=0.05) and found.floor == pytest.approx(0.4, rel=0.2)
    assert found.quantiles[LEVELS.index(0.68)] == pytest.approx(0.994, rel=0.03)
    assert found.quantiles[LEVELS.index(0.95)] == pytest.approx(1.960, rel=0.03)


def test_groups_with_enough_structures_have_a_scaling_of_their_own() -> None:
    found = calibrate(_drawn(240, 0, ("a", "b")))
    a, b, every = (found.of("energy", group) for group in ("a", "b", "all"))
    assert b.scale / a.scale == pytest.approx(4, rel=0.5) and a.scale < every.scale < b.scale
    assert found.of("energy", "never seen") == every
    few = calibrate(_drawn(190, 0, ("a", "b")))
    assert few.groups.keys() == {"all"}
    fewer = calibrate(_drawn(190, 0, ("a", "b")), frames=50)
    assert fewer.groups.keys() == {"all", "a", "b"}
    with pytest.raises(InputError, match="frames: expected 20 or more, got 5"):
        calibrate(_drawn(90, 0), frames=5)


def test_what_symmetry_fixes_does_not_count() -> None:
    drawn = _drawn(300, 0)
    made = []
    for p in drawn:
        errors = {"forces": np.append(p.errors["forces"], np.zeros(6))}
        sigmas = {"forces": np.append(p.sigmas["forces"], np.full(6, 1e-14))}
        made.append(Prediction(p.structure, errors, sigmas, {}))
    plain = [replace(p, errors={"forces": p.errors["forces"]}) for p in drawn]
    assert calibrate(made) == calibrate(plain)
    assert coverage(made, calibrate(made)) == coverage(plain, calibrate(plain))


def test_a_calibration_comes_back_from_json() -> None:
    found = calibrate(_drawn(240, 0, ("a", "b")))
    stored = json.loads(json.dumps({"calibration": found.mapping()}))
    assert Calibration.from_provenance(stored) == found
    stored["calibration"]["groups"]["all"]["energy"]["quantiles"][0] = -1.0
    with pytest.raises(InputError, match="calibration.*finite numbers of 0 or more"):
        Calibration.from_provenance(stored)
    with pytest.raises(InputError, match="this model has none"):
        Calibration.from_provenance({})
    with pytest.raises(InputError, match="expected 'all'"):
        Calibration.from_provenance({"calibration": {"groups": {}}})


def test_too_few_labels_and_levels_outside_are_refused() -> None:
    with pytest.raises(InputError, match="expected 20 or more labels .* got 18"):
        calibrate([replace(p, errors={"forces": p.errors["forces"]}) for p in _drawn(3, 0)])
    scaling = calibrate(_drawn(50, 0)).of("forces")
    with pytest.raises(InputError, match="level: expected 0.1 to 0.95, got 0.99"):
        scaling.interval(np.ones(1), 0.99)


def test_the_rank_correlation_is_that_of_known_orders() -> None:
    structure = Structure([14], [[0.0, 0, 0]])

    def of(sigmas: list[float]) -> float:
        made = [
            Prediction(structure, {"energy": np.array([e])}, {"energy": np.array([s])}, {})
            for e, s in zip([1.0, -2.0, 3.0, -4.0], sigmas, strict=True)
        ]
        return spearman(gathered(made)[0])

    assert of([1, 2, 3, 4]) == pytest.approx(1) and of([4, 3, 2, 1]) == pytest.approx(-1)
    assert of([2, 1, 4, 3]) == pytest.approx(0.6) and of([1, 1, 1, 1]) == 0


# ------------------------------------------------------------------ in fits and files


def test_a_calibrated_fit_states_what_it_kept(fit: acepot.Fit, tmp_path: Path) -> None:
    done = fit.calibrated()
    assert np.array_equal(done.model.coefficients, fit.model.coefficients)
    calibration = Calibration.from_provenance(done.model.provenance)
    assert done.report["uncertainty"]["left out"] == coverage(done.left_out, calibration)
    held = done.report["uncertainty"]["left out"]["all"]["F"]
    assert held["90"] == pytest.approx(0.9, abs=0.01) and held["spearman"] > 0.5
    table = coverage_table(done.report["uncertainty"]["left out"])
    assert table.splitlines()[0].split()[:5] == ["config_type", "count", "68", "%", "90"]
    reliability_picture(tmp_path / "r.png", {"left out": done.left_out}, calibration)
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_the_folder_of_a_calibrated_fit_lets_evaluations_state_intervals(tmp_path: Path) -> None:
    from acepot.fitting.config import FitConfig
    from acepot.fitting.folder import fit_to_folder
    from acepot.schema import from_mapping

    data = str(DATA / "Si_test.extxyz.xz")
    config = from_mapping(
        FitConfig,
        {
            "data": {"train": data, "fit": ["energy", "forces"]},
            "basis": {"order": 2, "degree": 5, "cutoff": 4.5},
            "committee": {"calibrate": True},
        },
    )
    fit_to_folder(config, tmp_path, say=lambda _line: None, threads=1, plots=False)
    model = tmp_path / "model.acepot"
    done = evaluate_file(model, data, LabelKeys(), need_labels=True, say=lambda _line: None)
    assert "90 %" in stated_on(done, model, 1)
    assert 0.8 < done.report["uncertainty"]["data"]["all"]["F"]["90"] <= 1.0
    (tmp_path / "posterior.acepot").write_bytes(b"PK nothing")
    with pytest.raises(ModelFileError, match=r"posterior\.acepot"):
        stated_on(done, model, 1)


def test_without_noise_or_families_nothing_is_left_out(fit: acepot.Fit) -> None:
    exact = UncertainPotential(Posterior(fit.model, fit.posterior.factor, 0.0), 1)
    with pytest.raises(InputError, match=r"noise: expected more than 0"):
        without_frame(exact, fit.train, fit.weight)
    with pytest.raises(InputError, match="families: expected two or more"):
        without_family(exact, fit.train, fit.weight, lambda _s: "one")
