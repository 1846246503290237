"""A search for the front: shared rows give the fits that each candidate would have alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import BasisSpec, Structure, resolve
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.fitting.assembly import structure_rows
from acepot.fitting.config import Data as Files
from acepot.fitting.config import FitConfig, load_config
from acepot.fitting.fitted import silent
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.recipe import Densities, Recipe, Weights
from acepot.search import cost, pareto, search, trial
from acepot.search.candidate import Candidate, families
from acepot.search.cost import Meter, sample
from acepot.search.fits import Data, FitsOfRows, FitsOfStructures
from acepot.search.nested import columns_in
from acepot.search.outcome import Aim, Outcome, best, excess, front, table
from acepot.search.plan import plan
from acepot.search.rows import rows_of
from acepot.search.settings import SearchConfig, SearchSettings, load_search

ROOT = Path(__file__).parents[3]
SMALL = SearchSettings(orders=(2, 3), reaches=(1.75, 2.0), functions=(20, 40), folds=3)


@pytest.fixture(scope="module")
def files(silicon: list[Structure], tmp_path_factory: pytest.TempPathFactory) -> FitConfig:
    path = tmp_path_factory.mktemp("data") / "train.xyz"
    acepot.write_structures(path, silicon)
    return FitConfig(Files(str(path), fit=("energy", "forces")))


def lowered(spec: BasisSpec) -> LoweredBasis:
    return LoweredBasis.of(resolve(spec), dict.fromkeys(spec.elements, 0.0), silent)


# ------------------------------------------------------------------ shared rows


def test_a_smaller_basis_has_columns_of_a_larger_one() -> None:
    cutoffs = {"Si-Si": 4.5, "O-Si": 3.9, "Si-O": 4.1, "O-O": 3.6}
    small = lowered(BasisSpec(("O", "Si"), order=3, degree=(6, 6, 6), cutoff=cutoffs, wl=1.0))
    large = lowered(BasisSpec(("O", "Si"), order=4, degree=(9, 8, 7, 6), cutoff=cutoffs, wl=1.0))
    columns = columns_in(small.expanded, large.expanded)
    assert len(set(columns.tolist())) == small.expanded.size < large.expanded.size
    rng = np.random.default_rng(4)
    cell = np.array([[6.1, 0.2, 0.0], [0.9, 5.8, 0.3], [-0.4, 0.5, 6.3]])
    grid = (np.array(list(np.ndindex(2, 2, 2))) + rng.uniform(-0.1, 0.1, (8, 3))) / 2
    structure = Structure(
        rng.permutation([8, 14] * 4), grid @ cell, cell, True, forces=np.zeros((8, 3))
    )
    weights = Weights()
    of_small, of_large = (
        structure_rows(structure, b.blank, NativeRowBuilder(b.tables, 1), ("forces",), weights).rows
        for b in (small, large)
    )
    scale = np.abs(of_small).max(axis=0)
    np.testing.assert_allclose(of_small / scale, of_large[:, columns] / scale, atol=1e-5)
    with pytest.raises(InputError, match=r"all among the \d+ of the larger basis"):
        columns_in(large.expanded, small.expanded)


def recipes(silicon: Sequence[Structure]) -> list[Recipe]:
    e0 = {"Si": -5.0}
    shapes = ((2, (9.0, 7.0), 4.5), (3, (7.0, 6.0, 5.0), 4.5), (3, (7.0, 6.0, 5.0), 5.0))
    return [
        Recipe(basis=resolve(BasisSpec(("Si",), order=o, degree=d, cutoff=c)), e0=e0)
        for o, d, c in shapes
    ]


def test_candidates_of_one_cutoff_share_rows(silicon: list[Structure]) -> None:
    every = [Candidate(str(k), one, 0) for k, one in enumerate(recipes(silicon))]
    bent = replace(
        every[0], name="bent", recipe=replace(every[0].recipe, embedding={"Si": Densities()})
    )
    found = families([*every, bent])
    assert [[one.name for one in f.members] for f in found] == [["0", "1"], ["2"], ["bent"]]
    assert found[0].basis.order == 3
    assert found[0].basis.degrees_of("Si") == (9.0, 7.0, 5.0)


def test_fits_of_shared_rows_are_the_fits_of_each_alone(silicon: list[Structure]) -> None:
    data = Data(silicon, [], 3, 1)
    candidates = [Candidate(str(k), one, 0) for k, one in enumerate(recipes(silicon)[:2])]
    (family,) = families(candidates)
    rows = rows_of(family, data, silent)
    for one in candidates:
        shared, alone = FitsOfRows(one.recipe, rows, data), FitsOfStructures(one.recipe, data)
        pairs = [*zip(shared.without_each(), alone.without_each(), strict=True)]
        assert len(pairs) == 3
        for ours, theirs in [*pairs, (shared.of_all(), alone.of_all())]:
            for structure in silicon[::5]:
                a, b = ours.compute(structure), theirs.compute(structure)
                np.testing.assert_allclose(a.forces, b.forces, atol=2e-4)
                assert a.energy == pytest.approx(b.energy, abs=1e-3)


def test_parts_are_all_structures_once(silicon: list[Structure]) -> None:
    data = Data(silicon, [], 3, 1)
    assert sorted(np.concatenate(data.parts).tolist()) == list(range(len(silicon)))
    for part in data.parts:
        others = data.without(part)
        assert len(others) + len(part) == len(silicon)
        assert not {id(silicon[i]) for i in part} & set(map(id, others))


# ------------------------------------------------------------------ outcomes


def outcome(name: str, cost: float, energy: float, forces: float = 1.0, **more: Any) -> Outcome:
    errors = {"energy rmse": energy, "forces rmse": forces}
    return Outcome(name, "plain", 3, 5.0, "3", 10, 10, cost, errors, **more)


def test_the_front_is_what_no_other_one_beats() -> None:
    rng = np.random.default_rng(2)
    every = [outcome(str(k), *rng.uniform(1, 9, 3)) for k in range(60)]
    aim = Aim()
    found = front(every, aim)
    for one in every:
        beaten = any(o.cost <= one.cost and aim.of(o) < aim.of(one) for o in every)
        assert (one in found) is not beaten
        assert (excess(one, every, aim) == 1) is not beaten
    chosen = best(every, aim, 4.0)
    assert chosen.cost <= 4.0
    assert aim.of(chosen) == min(aim.of(one) for one in every if one.cost <= 4.0)
    with pytest.raises(InputError, match="µs/atom or more, what .* costs, the cheapest"):
        best(every, aim, 0.5)
    rows = table(every, aim).splitlines()
    assert len(rows) == 61 and rows[0].startswith("name,variant,order,cutoff")


def test_errors_are_compared_as_asked() -> None:
    one = replace(outcome("a", 1.0, 4.0, 9.0), left_out={"energy mae": 4.0, "forces mae": 9.0})
    assert Aim(measure="mae").of(one) == pytest.approx(6.0)
    assert Aim("energy", "mae").of(one) == 4.0 and Aim("forces", "mae").of(one) == 9.0
    with pytest.raises(InputError, match="no energy or forces labels"):
        Aim().of(one)
    tested = replace(one, test={"energy mae": 0.1, "forces mae": 0.1})
    assert Aim(measure="mae").of(tested) == Aim(measure="mae").of(one)


def test_costs_are_ratios_to_the_reference(
    silicon: list[Structure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that tells 3 s for the reference at first, then 6 for it and 12 for a model."""
    tables = lowered(BasisSpec(("Si",), order=2, degree=4, cutoff=4.0)).tables
    atoms = sample(silicon)
    assert 900 < sum(map(len, atoms)) < 1100
    ticks = [3.0] * cost._FIRST + [12.0] + [6.0, 12.0] * cost._ROUNDS
    times = iter(np.cumsum([x for t in ticks for x in (0.0, t)]).tolist())
    monkeypatch.setattr(cost.time, "process_time", lambda: next(times))
    meter = Meter(atoms, tables)
    assert meter.reference == pytest.approx(3e6 / sum(map(len, atoms)))
    assert meter.cost(tables) == pytest.approx(2 * meter.reference)


# ------------------------------------------------------------------ which are tried


def test_the_plan_has_every_order_cutoff_and_size(
    files: FitConfig, silicon: list[Structure]
) -> None:
    config = SearchConfig(files, SMALL, {"bent": {"embedding": {"default": {}}}})
    found = plan(config, silicon, [], 1)
    first, *others = found.candidates
    assert first.given and first.recipe.basis == found.choice.recipe.basis
    linear = [one for one in others if one.variant == "plain"]
    assert len({one.name for one in others}) == len(others) == 2 * len(linear) == 16
    for one in linear:
        assert one.functions <= 40 and one.recipe.e0 == found.choice.e0
    assert {one.recipe.basis.cutoff["Si-Si"] for one in linear} == {4.5, 4.8}
    for one in others[len(linear) :]:
        (twin,) = (o for o in linear if o.name == one.twin)
        assert twin.recipe.basis == one.recipe.basis
    with pytest.raises(InputError, match="these are what is searched"):
        plan(replace(config, fit=replace(files, basis=BasisSpec(degree=5))), silicon, [], 1)


Scores = Callable[[Candidate], tuple[float, float]]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scores], list[str]]:
    """Trials without fits: cost and error of a candidate by a rule; the names that are tried."""

    def install(rule: Scores) -> list[str]:
        names: list[str] = []

        def tried(candidate: Candidate, *_: object) -> Outcome:
            names.append(candidate.name)
            cost, error = rule(candidate)
            if error == inf:
                raise ConvergenceError("no solution")
            return outcome(candidate.name, cost, error, given=candidate.given)

        monkeypatch.setattr(search, "tried", tried)
        monkeypatch.setattr(search, "rows_of", lambda *_: None)
        return names

    return install


def run(config: SearchConfig, folder: Path, budget: float | None = None) -> list[Outcome]:
    said: list[str] = []
    return pareto.pareto(config, folder, say=said.append, threads=1, plots=False, budget=budget)


def names_of(found: list[Outcome]) -> list[str]:
    return [one.name for one in found]


def test_what_is_far_above_the_front_does_not_grow(
    files: FitConfig, scored: Callable[[Scores], list[str]], tmp_path: Path
) -> None:
    settings = replace(SMALL, functions=(20, 40, 80, 160, 320), slack=1.5)

    def rule(one: Candidate) -> tuple[float, float]:
        bad = "order 2" in one.chain
        return 1 + one.functions / 100 + bad, (16.0 if bad else 4.0) / (1 + one.functions)

    names = scored(rule)
    found = run(SearchConfig(files, settings, {}), tmp_path / "a")
    assert max(int(n.split()[-1]) for n in names if "order 2" in n) < 100  # the first three sizes
    assert min(int(n.split()[-1]) for n in names if "order 3" in n) < 40
    every = scored(rule)
    all_tried = run(SearchConfig(files, replace(settings, slack=100.0), {}), tmp_path / "b")
    assert len(every) > len(names) and names_of(all_tried) == names_of(found)


def test_nonlinear_models_are_tried_where_linear_ones_are_good(
    files: FitConfig, scored: Callable[[Scores], list[str]], tmp_path: Path
) -> None:
    names = scored(lambda one: (1.0 + ("order 2" in one.chain), 1.0 + ("order 2" in one.chain)))
    variants = {"bent": {"embedding": {"default": {}}}}
    run(SearchConfig(files, SMALL, variants), tmp_path)
    bent = [name for name in names if name.startswith("bent")]
    assert bent and not [name for name in bent if "order 2" in name]
    assert names[-len(bent) :] == bent


def test_a_fit_that_fails_ends_its_chain_only(
    files: FitConfig, scored: Callable[[Scores], list[str]], tmp_path: Path
) -> None:
    names = scored(lambda one: (1.0, inf if "order 3, 2 r0" in one.chain else 1.0))
    found = run(SearchConfig(files, SMALL, {}), tmp_path)
    assert sum("order 3, 2 r0" in name for name in names) == 1
    assert found and not [one for one in found if "order 3, 2 r0" in one.name]
    count = len(names)
    run(SearchConfig(files, SMALL, {}), tmp_path)
    assert len(names) == count  # nor is it tried again


class Killed(BaseException):
    """As if the process had ended."""


def test_a_search_goes_on_where_it_was_ended(
    files: FitConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SearchSettings(orders=(2,), reaches=(1.75, 2.0), functions=(20, 40), folds=2)
    config = SearchConfig(files, replace(settings, slack=100.0), {})
    whole = run(config, tmp_path / "whole")
    real, count = trial.tried, iter(range(1000))

    def dying(*given: Any) -> Outcome:
        if next(count) in (1, 3):
            raise Killed
        return real(*given)

    monkeypatch.setattr(search, "tried", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            run(config, tmp_path / "killed")
    run(config, tmp_path / "killed")
    assert next(count) == 5 + 2  # five models; the two that died were begun anew
    states = [next((tmp_path / n).glob("state.*")) for n in ("whole", "killed")]
    one, other = (
        {o["name"]: o["left_out"] for o in json.loads(p.read_text())["outcomes"]} for p in states
    )
    assert one == other and len(one) == 5
    again = run(config, tmp_path / "whole")
    assert names_of(again) == names_of(whole)
    with pytest.raises(
        InputError, match=r"belongs to another run: search\.folds was 2 and is now 3"
    ):
        run(replace(config, search=replace(config.search, folds=3)), tmp_path / "whole")


def test_the_best_for_a_budget_is_fitted(files: FitConfig, tmp_path: Path) -> None:
    config = SearchConfig(files, replace(SMALL, orders=(2,), reaches=(1.75,)), {})
    found = run(config, tmp_path, budget=1e6)
    least = min(found, key=config.search.of)
    written = load_config(
        tmp_path / "fits" / f"{least.name.replace(', ', '-').replace(' ', '-')}.toml"
    )
    model = acepot.load(tmp_path / "best" / "model.acepot")
    assert model.basis == resolve(written.basis)
    assert model.coefficients.size == least.functions
    repeated = load_search(tmp_path / "search.toml")
    assert repeated.search == config.search
    assert Path(repeated.fit.data.train).samefile(files.data.train)
    page = (tmp_path / "front.html").read_text(encoding="utf-8")
    assert least.name in page and "http-equiv" not in page


# ------------------------------------------------------------------ settings


def test_variants_change_what_they_name(tmp_path: Path) -> None:
    acepot.write_structures(
        tmp_path / "train.xyz", [Structure([14], [[0, 0, 0]], np.eye(3), False, energy=1.0)]
    )
    path = tmp_path / "search.toml"
    text = '[data]\ntrain = "train.xyz"\n[basis]\nwl = 2.0\n[search]\norders = [3]\n'
    path.write_text(text + "[variant.soft]\nprior.p = 2.0\n[variant.sqrt.embedding.default]\n")
    found = load_search(path)
    made = found.recipes()
    assert list(made) == ["plain", "soft", "sqrt"]
    assert (made["plain"].prior.p, made["soft"].prior.p) == (4.0, 2.0)
    assert made["soft"].basis.wl == 2.0 and made["sqrt"].embedding["default"] == Densities()
    assert found.search.orders == (3,)
    for more, said in (
        ("[variant.a]\ndata.train = 'x'", r"variant\.a: expected basis, .* got data"),
        (
            "[variant.a]\nbasis.ordr = 1",
            r"variant\.a: unknown key basis\.ordr; did you mean basis\.order",
        ),
        ("[variant.plain]\nbasis.wl = 1", "is the name of the fit as it is"),
        ("[search2]\n", "unknown key search2"),
    ):
        path.write_text(text + more)
        with pytest.raises(InputError, match=said):
            load_search(path).recipes()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"orders": ()}, "orders: expected one or more"),
        ({"orders": (7,)}, "orders: expected 1 or more, up to 6, got 7"),
        ({"functions": (0,)}, "functions: expected 1 or more"),
        ({"reaches": ()}, "reaches: expected one or more"),
        ({"cutoffs": (99.0,)}, "cutoffs: expected .* up to 50"),
        ({"folds": 1}, "folds: expected 2 or more"),
        ({"slack": 0.5}, "slack: expected 1 or more"),
        ({"by": "virial"}, "by: expected one of 'both', 'energy', 'forces'"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SearchSettings(**wrong)
