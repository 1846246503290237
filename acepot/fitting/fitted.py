"""A fit that is there: its model, what it says about its data, and on with more structures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.evaluate.protocol import Result
from acepot.fitting.assembly import Job, StructureRows
from acepot.fitting.choice import Choice
from acepot.fitting.config import FitConfig
from acepot.fitting.consistency import Consistency, consistency
from acepot.fitting.dataset import as_structures
from acepot.fitting.gathered import Gathered
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.observables import Observable
from acepot.fitting.problem import Accumulator
from acepot.fitting.recipe import Recipe
from acepot.fitting.restraint import applies
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, Solver, solve
from acepot.model import Model
from acepot.potential import Potential
from acepot.report.metrics import errors
from acepot.report.worst import Deviation, deviations
from acepot.run.progress import Pulse
from acepot.schema import to_mapping
from acepot.structure import Structure

__all__ = ["Assembled", "Fit", "Probe", "Say", "decided", "restrained", "silent", "solved"]

Say = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class Probe:
    """What the fit itself predicts for one structure: design rows times coefficients.

    Args:
        structure: a training structure.
        quantities: names of the observables, in the order of the rows.
        predicted: all of them in one array, less E0.
    """

    structure: Structure
    quantities: tuple[str, ...]
    predicted: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Assembled:
    """What `Fit.add` and the check after saving need: basis, compressed rows, rows of a few.

    Args:
        choice: recipe and E0 with every default written out.
        basis: its functions, expanded and lowered.
        rows: those of all structures so far and of the restraint, weighted, as a triangle.
        kept: unweighted rows of a few training structures, to compare with the saved model.
        threads: structures handled at once.
        solving: seconds that the solver should take; None: not known.
        virials: how they compare with energies and forces, if that decided whether they are among
            the rows; None: it was stated, or there are none.
        solution: of the rows as they are, where it is known.
    """

    choice: Choice
    basis: LoweredBasis
    rows: Accumulator
    kept: tuple[StructureRows, ...]
    threads: int
    solving: float | None = None
    virials: Consistency | None = None
    solution: Solution | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` and `run_fit` return. Predictions and the report are made when asked for.

    Args:
        model: the fitted model.
        solution: coefficients with their posterior.
        recipe: what was fitted and how, with every default resolved.
        train: training structures.
        test: test structures.
        config: the configuration that repeats the fit; None: its structures are not all in files.
        assembled: what it goes on with.
    """

    model: Model
    solution: Solution
    recipe: Recipe
    train: list[Structure]
    test: list[Structure]
    config: FitConfig | None
    assembled: Assembled = field(repr=False)

    @cached_property
    def potential(self) -> Potential:
        """The model, ready to evaluate structures."""
        return self.assembled.basis.potential(self.model, self.assembled.threads)

    @cached_property
    def train_results(self) -> list[Result]:
        """The model's predictions for the training structures."""
        return self.potential.compute_all(self.train)

    @cached_property
    def test_results(self) -> list[Result]:
        """The model's predictions for the test structures."""
        return self.potential.compute_all(self.test) if self.test else []

    @cached_property
    def deviations(self) -> dict[str, list[Deviation]]:
        """How far the model is from the labels of every structure, of "train" and "test"."""
        parts = {"train": (self.train, self.train_results), "test": (self.test, self.test_results)}
        evaluate = self.potential.compute_all
        return {
            name: deviations(structures, results, evaluate)
            for name, (structures, results) in parts.items()
            if structures
        }

    @cached_property
    def probes(self) -> list[Probe]:
        """Predictions by design rows, for the check after saving."""
        c = self.solution.coefficients
        return [Probe(b.structure, b.quantities, b.rows @ c) for b in self.assembled.kept]

    @cached_property
    def report(self) -> dict[str, Any]:
        """Errors under "train" and "test", and how they came about."""
        found, basis = self.assembled.choice, self.assembled.basis
        evaluate = self.potential.compute_all
        report: dict[str, Any] = {"train": errors(self.train, self.train_results, evaluate)}
        if self.test:
            report["test"] = errors(self.test, self.test_results, evaluate)
        report["basis"] = basis.size
        if found.trial is not None:
            report["cut-offs"] = found.trial.report
        report["e0"] = {s: {"energy": e, "origin": found.origin[s]} for s, e in found.e0.items()}
        report["fitted"] = [
            one.name
            for one in map(Observable.known.__getitem__, self.recipe.observables)
            if any(one.label(s) is not None for s in self.train)
        ]
        report["warnings"] = list(found.warnings)
        if (virials := self.assembled.virials) is not None:
            report["virials"] = virials.report
        report["restraint"] = "on" if restrained(self.recipe) else "off"
        rows = self.assembled.rows
        report["elimination"] = {"rows": rows.rows, "by reflections": rows.reflected}
        report["solver"] = _solver_report(self.recipe.solver, self.solution)
        report["tables"] = {"error": max(t.error for t in basis.tables.radial)}
        return report

    def add(
        self, structures: Iterable[Any] | Structure, *, threads: int | None = None,
        say: Say | None = None,
    ) -> Fit:  # fmt: skip
        """The fit of these structures beside those so far, whose rows are not made again.

        Basis, E0, weights, prior, whether virials are fitted and all else stay as they are in this
        fit, which remains.

        Args:
            structures: with labels; of acepot, or Atoms of ASE.
            threads: structures handled at once; None: as before.
            say: called with lines for people; None: silent.

        Raises:
            InputError: an element that the basis does not have, or no structures.
        """
        more, state = as_structures(structures), self.assembled
        choice = state.choice.with_more(more)
        threads = threads or state.threads
        rows = state.rows.copy()
        job = Job(more, choice.recipe, state.basis, threads, say)
        job.add_to(Gathered(rows))
        state = replace(state, choice=choice, rows=rows, threads=threads, solution=None)
        return solved(state, [*self.train, *more], self.test, None, say)


def decided(state: Assembled, gathered: Gathered, say: Say) -> Assembled:
    """The same with virials among the rows if they are consistent with those, and said so.

    Args:
        state: with the rows of what is fitted in any case.
        gathered: these and, apart from them, virials.
        say: told what is decided and why.
    """
    recipe = state.choice.recipe
    if not recipe.tried:
        return state
    settled = replace(recipe, tried=())
    state = replace(state, choice=replace(state.choice, recipe=settled))
    if gathered.apart is None or gathered.apart.rows == 0 or gathered.fitted.rows == 0:
        return state
    problem, gamma = gathered.fitted.finish(), recipe.prior.gamma(state.basis.expanded)
    # The noise and the prior that are found by evidence serve, whatever solves in the end.
    same = isinstance(recipe.solver, BLR)
    say(f"comparing virials with {' and '.join(recipe.observables)}")
    alone = solve(problem, gamma, recipe.solver if same else BLR())
    strength = np.sqrt(alone.noise / (alone.prior_variance or 1.0))
    found = consistency(problem, gathered.apart.finish(), alone.coefficients, strength * gamma)
    say(found.line)
    if found.reason:
        return replace(state, virials=found, solution=alone if same else None)
    settled = replace(settled, observables=(*recipe.observables, *recipe.tried))
    choice = replace(state.choice, recipe=settled)
    return replace(state, choice=choice, rows=gathered.together(), virials=found)


def solved(
    state: Assembled,
    train: list[Structure],
    test: list[Structure],
    config: FitConfig | None,
    say: Say | None,
) -> Fit:
    """The fit of the rows there are."""
    recipe, basis = state.choice.recipe, state.basis
    problem = state.rows.finish()
    kind = recipe.solver.kind
    (say or silent)(f"solving: {problem.rows} rows, {problem.columns} functions, {kind}")
    solution = state.solution
    if solution is None:
        gamma = recipe.prior.gamma(basis.expanded)
        with nullcontext() if say is None else Pulse("solving", state.solving):
            solution = solve(problem, gamma, recipe.solver)
    if solution.line:
        (say or silent)(solution.line)
    members = solution.coefficients[None]
    if recipe.committee.size:
        generator = np.random.default_rng(recipe.committee.seed)
        drawn = solution.draw(recipe.committee.size, generator)
        members = np.concatenate((members, drawn))
    model = replace(
        basis.blank,
        coefficients=members[:, None],
        provenance=_provenance(state, config, train, test, solution),
    )
    return Fit(model, solution, recipe, train, test, config, state)


def restrained(recipe: Recipe) -> bool:
    """Whether the artificial dimers are among the rows."""
    return recipe.restraint.weight > 0 and applies(recipe.basis)


def _provenance(
    state: Assembled,
    config: FitConfig | None,
    train: list[Structure],
    test: list[Structure],
    solution: Solution,
) -> dict[str, Any]:
    """What a model remembers of its making: nothing that changes from run to run."""
    choice = state.choice
    mapping = to_mapping(choice.recipe if config is None else config)
    if config is not None:
        mapping["data"]["train"] = [Path(name).name for name in config.data.train_files]
        mapping["data"]["test"] = [Path(name).name for name in config.data.test_files]
    del mapping["basis"]  # the model holds it
    compared = {} if state.virials is None else {"virials": state.virials.report}
    return {
        "fit": mapping,
        "structures": {"train": len(train), "test": len(test)},
        "atoms": {"train": sum(map(len, train)), "test": sum(map(len, test))},
        "shortest distances": choice.shortest,
        "e0 origin": choice.origin,
        "solver": _solver_report(choice.recipe.solver, solution),
        **compared,
    }


def _solver_report(solver: Solver, solution: Solution) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": solver.kind, "noise variance": solution.noise}
    if solution.prior_variance is not None:
        values["prior variance"] = solution.prior_variance
    if solution.log_evidence is not None:
        values["log evidence"] = solution.log_evidence
    values |= {k: v for k, v in solution.report.items() if k != "solver"}
    # JSON has no infinity: a singular system's condition number becomes a word.
    return {
        k: str(v) if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()
    }
