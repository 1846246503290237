"""Every solver in a whole fit: settings, report, parts, checkpoints, and models with zeros."""

import json
import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure, fit
from acepot.errors import InputError
from acepot.fitting.config import Data, FitConfig, dump_config, load_config
from acepot.fitting.gathered import Gathered
from acepot.fitting.partition import Division
from acepot.fitting.priors import Algebraic, Factors, Given
from acepot.fitting.solvers import solve
from acepot.schema import from_mapping

BASIS = {"order": 3, "degree": 7, "cutoff": 4.0}
CELL = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
SITES = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]])
KINDS = {
    "ridge": {"kind": "ridge"},
    "lsqr": {"kind": "lsqr"},
    "svd": {"kind": "svd"},
    "rrqr": {"kind": "rrqr"},
    "ard": {"kind": "ard"},
    "omp": {"kind": "omp"},
    "lasso": {"kind": "lasso", "folds": 3},
    "elastic_net": {"kind": "elastic_net", "slack": 0.05},
    "separate": {"kind": "blr", "noise": "separate"},
    "blr": {"kind": "blr"},
}


def _structures(count, seed=0):
    """Silicon with the energies of a pair potential that the basis does not quite have."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        cell = CELL @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = SITES @ cell + rng.normal(scale=0.15, size=(4, 3))
        made.append(Structure([14] * 4, positions, cell, True, config_type=f"group {k % 2}"))
    model = acepot.fit(
        [replace(s, energy=0.0, forces=rng.normal(size=(4, 3))) for s in made],
        {"order": 2, "degree": 4, "cutoff": 4.0}, e0={"Si": 0.0}, threads=1,
    ).model  # fmt: skip
    results = Potential(model, threads=1).compute_all(made)
    return [
        replace(s, energy=r.energy + 1e-3 * rng.normal(), virial=r.virial,
                forces=r.forces + 1e-2 * rng.normal(size=(4, 3)))
        for s, r in zip(made, results, strict=True)
    ]  # fmt: skip


STRUCTURES = _structures(36)


def _fit(structures=STRUCTURES, **more):
    more = {"observables": ["energy", "forces"], "e0": {"Si": 0.0}, "threads": 1, **more}
    return fit(structures, BASIS, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_solver_fits_reports_and_is_repeated(kind):
    found = _fit(solver=KINDS[kind], committee={"size": 2} if kind != "svd" else None)
    report = json.loads(json.dumps(found.report))["solver"]
    assert report["kind"] == KINDS[kind]["kind"]
    assert found.report["train"]["all"]["F"]["rmse"] < 15  # meV/Å; the noise is 10
    lengths = {len(values) for values in report["curve"].values()}
    assert len(lengths) == 1 and lengths.pop() > 5
    zeros = found.solution.coefficients == 0
    assert (found.model.coefficients[:, 0, zeros] == 0).all()  # members of the committee, too
    again = _fit(solver=found.recipe.solver)
    np.testing.assert_array_equal(again.solution.coefficients, found.solution.coefficients)
    config = FitConfig(Data("a.xyz"), solver=found.recipe.solver)
    assert from_mapping(FitConfig, tomllib.loads(dump_config(config))) == config


@pytest.mark.parametrize("kind", ["omp", "lasso", "separate"])
def test_more_structures_go_into_their_parts(kind):
    """Structures that are added later are divided as if they had come at once."""
    whole = _fit(solver=KINDS[kind])
    first = _fit(STRUCTURES[:20], solver=KINDS[kind])
    added = first.add(STRUCTURES[20:27]).add(STRUCTURES[27:])
    np.testing.assert_allclose(
        added.solution.coefficients, whole.solution.coefficients, rtol=1e-6, atol=1e-9
    )
    assert first.report["solver"]["rows"] < added.report["solver"]["rows"]


@pytest.mark.parametrize("kind", ["omp", "separate"])
def test_virials_that_are_tried_are_in_the_parts(kind):
    stated = _fit(solver=KINDS[kind], observables=["energy", "forces", "virial"])
    tried = _fit(solver=KINDS[kind], observables=None)
    assert tried.report["virials"]["decision"] == "fitted"
    np.testing.assert_allclose(
        tried.solution.coefficients, stated.solution.coefficients, rtol=1e-5, atol=1e-8
    )
    problem = tried.assembled.rows.finish()
    assert problem.rows == sum(one.problem.rows for one in problem.parts)


def test_rows_in_parts_go_on_from_a_state():
    division = Division(3)
    rows = Gathered.none_yet(5, True, division)
    rng = np.random.default_rng(0)
    for fold in (0, 1, 2, -1):
        rows.fitted.add(rng.normal(size=(7, 5)), rng.normal(size=7), fold=fold)
        rows.apart.add(rng.normal(size=(6, 6)), rng.normal(size=6), fold=fold)
    other = Gathered.restored({k: v.copy() for k, v in rows.state().items()}, division)
    one, same = rows.together().finish(), other.together().finish()
    np.testing.assert_array_equal(one.triangle, same.triangle)
    assert [p.fold for p in one.parts] == [-1, 0, 1, 2] and one.rows == 52


def test_functions_without_a_coefficient_are_not_in_a_pace_file(tmp_path):
    few = _fit(solver={"kind": "omp", "size": 12})
    assert np.count_nonzero(few.solution.coefficients) == 12
    all_ = _fit(solver="ridge")
    sizes = []
    for name, one in (("few", few), ("all", all_)):
        acepot.convert(_saved(one.model, tmp_path / f"{name}.acepot"), tmp_path / f"{name}.yace")
        text = (tmp_path / f"{name}.yace").read_text()
        sizes.append(len(re.findall("rank: [23]", text)))  # those of rank 1 are the pair part
        energy = Potential(acepot.load(tmp_path / f"{name}.yace")).compute(STRUCTURES[0]).energy
        assert energy == pytest.approx(one.potential.compute(STRUCTURES[0]).energy, abs=1e-6)
    assert 0 < sizes[0] <= 12 and sizes[1] == 30


def _saved(model, path):
    acepot.save(model, path)
    return path


# ---- priors of the user's own


def test_a_prior_from_a_file_is_that_of_its_numbers(tmp_path):
    plain = _fit(solver="blr")
    gamma = Algebraic().gamma(plain.assembled.basis.expanded)
    path = tmp_path / "gamma.txt"
    path.write_text(
        "# of silicon\n" + "\n".join(f"{g!r}  # {k}" for k, g in enumerate(gamma.tolist()))
    )
    given = _fit(solver="blr", prior={"kind": "given", "file": str(path)})
    np.testing.assert_array_equal(given.solution.coefficients, plain.solution.coefficients)
    assert given.model.provenance["fit"]["prior"] == {"kind": "given", "file": "gamma.txt"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1 2 3",
            r"gamma.txt: expected a number for each of the \d+ functions of the basis, got 3",
        ),
        ("1 2\n3 x", "gamma.txt, line 2: expected a number, got 'x'"),
        ("1\n-2", "gamma.txt, line 2: expected more than 0, got -2"),
        ("1\nnan", "gamma.txt, line 2: expected more than 0"),
        (None, "gamma.txt: cannot read the prior"),
    ],
)
def test_a_file_that_is_no_prior(tmp_path, text, message):
    path = tmp_path / "gamma.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        _fit(prior={"kind": "given", "file": str(path)})


def test_the_file_of_a_prior_is_relative_to_the_settings(tmp_path):
    (tmp_path / "fit.toml").write_text(
        'data.train = "a.xyz"\nprior = {kind = "given", file = "g.txt"}'
    )
    config = load_config(tmp_path / "fit.toml")
    assert config.prior == Given(str(tmp_path / "g.txt"))
    (tmp_path / "out").mkdir()
    assert 'file = "../g.txt"' in dump_config(config, tmp_path / "out")


def test_factors_by_order_and_degree():
    expanded = _fit(STRUCTURES[:8], solver="blr").assembled.basis.expanded
    labels, base = expanded.labels, Algebraic().gamma(expanded)
    prior = Factors(order=(1.0, 2.0, 5.0), degree=(1.0, 1.0, 3.0, 7.0), pair=0.25)
    used = labels.l >= 0
    degree = np.where(used, labels.n + labels.l, 0).sum(axis=1)
    for k, gamma in enumerate(prior.gamma(expanded)):
        factor = 0.25 if labels.pair[k] else {1: 1.0, 2: 2.0, 3: 5.0}[int(labels.order[k])]
        factor *= (1.0, 1.0, 3.0, 7.0)[min(int(degree[k]), 4) - 1]
        assert gamma == pytest.approx(base[k] * factor)
    assert {1, 2, 3} <= set(labels.order.tolist()) and labels.pair.any()
    np.testing.assert_array_equal(Factors().gamma(expanded), base)
    with pytest.raises(InputError, match=r"^order\[1\]: expected more than 0, got 0.0"):
        Factors(order=(1.0, 0.0))


def test_a_prior_works_in_every_solver():
    """Functions that are penalised without bound have no coefficient."""
    expanded = _fit(STRUCTURES[:8], solver="blr").assembled.basis.expanded
    gamma = np.where(expanded.labels.order == 3, 1e12, 1.0)
    for kind, settings in KINDS.items():
        if kind == "ard":  # its own variances are its prior
            continue
        chosen = {k: v for k, v in settings.items() if k != "folds"}
        found = _fit(solver=chosen)
        problem, solver = found.assembled.rows.finish(), found.recipe.solver
        solution = solve(problem, gamma, solver)
        late = np.abs(solution.coefficients[expanded.labels.order == 3])
        assert late.max() < 1e-6 * np.abs(solution.coefficients).max(), kind
