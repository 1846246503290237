"""A fit that is there: its model, what it says about its data, and on with more structures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from acepot.basis.embedding import Nonlinear
from acepot.errors import InputError
from acepot.evaluate.protocol import Result
from acepot.fitting.assembled import Assembled, Probe
from acepot.fitting.assembly import Job
from acepot.fitting.config import FitConfig
from acepot.fitting.consistency import consistency
from acepot.fitting.dataset import as_structures
from acepot.fitting.gathered import Gathered
from acepot.fitting.newton_cg import Descent
from acepot.fitting.nonlinear.refinement import Refinement, reproduced
from acepot.fitting.nonlinear.resumed import refined
from acepot.fitting.observables import Observable
from acepot.fitting.provenance import provenance, solver_report
from acepot.fitting.recipe import Recipe
from acepot.fitting.restraint import applies
from acepot.fitting.resume import Memory
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, solve
from acepot.model import Model
from acepot.potential import Potential
from acepot.report.metrics import errors
from acepot.report.worst import Deviation, deviations
from acepot.run.progress import Pulse
from acepot.structure import Structure
from acepot.uncertainty.calibration import calibrate
from acepot.uncertainty.coverage import coverage
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior import Posterior
from acepot.uncertainty.predictions import Prediction, predictions, without_frame

__all__ = ["Fit", "Say", "decided", "restrained", "silent", "solved"]

Say = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` and `run_fit` return. Predictions and the report are made when asked for.

    Args:
        model: the fitted model.
        solution: coefficients with their posterior; of a nonlinear model, those of the linear
            fit it began from.
        recipe: what was fitted and how, with every default resolved.
        train: training structures.
        test: test structures.
        config: the configuration that repeats the fit; None: its structures are not all in files.
        assembled: what it goes on with.
        refinement: how the densities of a nonlinear model were found.
    """

    model: Model
    solution: Solution
    recipe: Recipe
    train: list[Structure]
    test: list[Structure]
    config: FitConfig | None
    assembled: Assembled = field(repr=False)
    refinement: Refinement | None = None

    @cached_property
    def potential(self) -> Potential:
        """The model, ready to evaluate structures."""
        return self.assembled.basis.potential(self.model, self.assembled.threads)

    @property
    def posterior(self) -> Posterior:
        """How well the data determine the coefficients.

        Raises:
            InputError: as many rows as coefficients and no prior determine none.
        """
        if self.solution.factor is None:
            raise InputError(
                "posterior: these data determine none (as many rows as coefficients); add data or "
                'use solver.kind = "blr"'
            )
        return Posterior(self.model, self.solution.factor, self.solution.noise)

    @cached_property
    def left_out(self) -> list[Prediction]:
        """Errors and standard deviations of every training structure as if it had been left out.

        The rows are made once more; nothing is fitted again. Noise, prior and E0 stay.
        """
        potential = UncertainPotential(self.posterior, self.assembled.threads)
        return without_frame(potential, self.train, self.weight)

    @cached_property
    def held_out(self) -> list[Prediction]:
        """Errors and standard deviations of the test structures."""
        potential = UncertainPotential(self.posterior, self.assembled.threads)
        return predictions(potential, self.test)

    def weight(self, structure: Structure, observable: Observable) -> float:
        """Weight of an observable's rows for a structure, 0 for what is not fitted."""
        if observable.name not in self.recipe.observables:
            return 0.0
        return self.recipe.weights_of(structure).of(observable)

    def calibrated(self, say: Say | None = None) -> Fit:
        """The same fit, whose model keeps standard deviations that hold on unseen structures.

        They are scaled on every training structure left out of the fit, and are in the model's
        provenance under "calibration". How often intervals hold is under "uncertainty" of the
        report: "left out", and "test" if there are test structures.

        Args:
            say: called with lines for people; None: silent.

        Raises:
            InputError: no posterior, or too few labels.
        """
        (say or silent)(f"calibrating: each of {len(self.train)} structures left out")
        calibration = calibrate(self.left_out)
        found = {**self.model.provenance, "calibration": calibration.mapping()}
        fit = replace(self, model=replace(self.model, provenance=found))
        vars(fit)["left_out"] = self.left_out  # rows do not depend on provenance
        seen = {"left out": fit.left_out, **({"test": fit.held_out} if fit.test else {})}
        fit.report["uncertainty"] = {part: coverage(p, calibration) for part, p in seen.items()}
        return fit

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
        """Predictions of a few structures, for the check after saving.

        By design rows; of a nonlinear model by the verbs that its fit was made with.
        """
        kept, c = self.assembled.kept, self.solution.coefficients
        if self.refinement is None:
            return [Probe(b.structure, b.quantities, b.rows @ c) for b in kept]
        predicted = reproduced(
            [b.structure for b in kept], self.recipe, self.assembled.basis, self.refinement
        )
        return [
            Probe(b.structure, b.quantities, np.concatenate([p[name] for name in b.quantities]))
            for b, p in zip(kept, predicted, strict=True)
        ]

    @cached_property
    def report(self) -> dict[str, Any]:
        """Errors under "train" and "test", and how they came about."""
        found, basis = self.assembled.choice, self.assembled.basis
        evaluate = self.potential.compute_all
        report: dict[str, Any] = {"train": errors(self.train, self.train_results, evaluate)}
        if self.test:
            report["test"] = errors(self.test, self.test_results, evaluate)
        report["basis"] = basis.size
        if self.assembled.learning is not None:
            report["learned"] = self.assembled.learning.report
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
        report["solver"] = solver_report(self.recipe.solver, self.solution)
        if self.solution.curve:
            report["solver"]["curve"] = self.solution.curve
        if self.refinement is not None:
            report["nonlinear"] = self.refinement.report
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
        return self.add_in_turn([as_structures(structures)], threads=threads, say=say)

    def add_in_turn(
        self, parts: Sequence[list[Structure]], *, threads: int | None = None,
        say: Say | None = None,
    ) -> Fit:  # fmt: skip
        """The fit that `add` of one part after the other gives, bit by bit, solved once.

        Args:
            parts: structures with labels, as they were added.
            threads: structures handled at once; None: as before.
            say: called with lines for people; None: silent.

        Raises:
            InputError: an element that the basis does not have, or no structures.
        """
        state, train = self.assembled, self.train
        threads = threads or state.threads
        for more in parts:
            choice = state.choice.with_more(more)
            # Those so far keep their weights.
            weighed = choice.recipe.weighting.weighed([*train, *more], choice.e0)[len(train) :]
            state.rows.finish()
            rows = state.rows.copy()
            job = Job(weighed, choice.recipe, state.basis, threads, say, earlier=train)
            job.add_to(Gathered(rows))
            train = [*train, *weighed]
            state = replace(state, choice=choice, rows=rows, threads=threads, solution=None)
        begin = None
        if self.refinement is not None:
            begin = Descent(self.refinement.descent.coefficients)
        return solved(state, train, self.test, None, say, start=begin)


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
    same = isinstance(recipe.solver, BLR) and recipe.solver.noise == "common"
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
    *,
    memory: Memory | None = None,
    start: Descent | None = None,
) -> Fit:
    """The fit of the rows there are.

    Args:
        state: with these rows.
        train: training structures, of which they are.
        test: test structures.
        config: that repeats the fit.
        say: called with lines for people; None: silent.
        memory: where checkpoints of a nonlinear fit go.
        start: where a nonlinear fit begins; None: at the linear one.
    """
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
    about = provenance(state.choice, state.virials, config, train, test, solution)
    if recipe.embedding:
        refinement = refined(
            state,
            [*train, *state.artificial],
            problem,
            solution,
            say or silent,
            memory=memory,
            start=start,
        )
        model = replace(
            basis.blank,
            coefficients=refinement.coefficients[None],
            nonlinear=Nonlinear(recipe.embeddings()),
            provenance=about,
        )
        return Fit(model, solution, recipe, train, test, config, state, refinement)
    members = solution.coefficients[None]
    if recipe.committee.size:
        generator = np.random.default_rng(recipe.committee.seed)
        drawn = solution.draw(recipe.committee.size, generator)
        members = np.concatenate((members, drawn))
    model = replace(basis.blank, coefficients=members[:, None], provenance=about)
    fit = Fit(model, solution, recipe, train, test, config, state)
    return fit.calibrated(say) if recipe.committee.calibrate else fit


def restrained(recipe: Recipe) -> bool:
    """Whether the artificial dimers are among the rows."""
    return recipe.restraint.weight > 0 and applies(recipe.basis)
