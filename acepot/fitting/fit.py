"""fit: from labelled structures to a model, in memory, and on with more of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import processors
from acepot.evaluate.protocol import Result
from acepot.fitting.assembly import Job, StructureRows
from acepot.fitting.choice import Choice, choose
from acepot.fitting.config import Committee, FitConfig, Recipe, Restraint, Weights
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.priors import Prior
from acepot.fitting.problem import Accumulator
from acepot.fitting.restraint import applies, restraint_rows
from acepot.fitting.resume import Memory, memory_in
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import Solver, solve
from acepot.io.atoms import from_atoms_list
from acepot.model import Model
from acepot.potential import Potential
from acepot.report.metrics import errors
from acepot.schema import from_mapping, to_mapping
from acepot.structure import Structure

__all__ = ["Fit", "Probe", "Say", "fit", "fit_structures"]

Say = Callable[[str], None]
#: Structures whose design rows are kept to compare with the saved model afterwards.
_PROBES = 12


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
class _Assembled:
    """What a fit keeps to go on: its basis, its rows as a triangle, and some of them as they were.

    Args:
        choice: recipe and E0 with every default written out.
        basis: built and lowered.
        rows: of all structures so far, and of the restraint.
        kept: unweighted rows of some structures.
        threads: structures handled at once.
    """

    choice: Choice
    basis: LoweredBasis
    rows: Accumulator
    kept: tuple[StructureRows, ...]
    threads: int


@dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` and `run_fit` return. Predictions and the report are made when asked for.

    Args:
        model: the fitted model.
        solution: coefficients with their posterior.
        recipe: what was fitted and how, with every default resolved.
        train: training structures.
        test: test structures.
        config: of a fit of files: the configuration that repeats it; None: there were none.
        assembled: what it goes on with.
    """

    model: Model
    solution: Solution
    recipe: Recipe
    train: list[Structure]
    test: list[Structure]
    config: FitConfig | None
    assembled: _Assembled = field(repr=False)

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
        report["e0"] = {s: {"energy": e, "origin": found.origin[s]} for s, e in found.e0.items()}
        report["fitted"] = list(self.recipe.observables)
        report["restraint"] = "on" if _restrained(self.recipe) else "off"
        report["solver"] = _solver_report(self.recipe.solver, self.solution)
        report["tables"] = {"error": max(t.error for t in basis.tables.radial)}
        return report

    def add(
        self, structures: Iterable[Any] | Structure, *, threads: int | None = None,
        say: Say | None = None,
    ) -> Fit:  # fmt: skip
        """The fit of these structures beside those so far, whose rows are not made again.

        Basis, E0, weights, prior and all else stay as they are in this fit, which remains.

        Args:
            structures: with labels; of acepot, or Atoms of ASE.
            threads: structures handled at once; None: as before.
            say: called with lines for people; None: silent.

        Raises:
            InputError: an element that the basis does not have, or no structures.
        """
        more, state = _as_structures(structures), self.assembled
        choice = state.choice.with_more(more)
        threads = threads or state.threads
        rows = state.rows.copy()
        job = Job(more, choice.recipe, state.basis, threads, say)
        job.add_to(rows)
        state = replace(state, choice=choice, rows=rows, threads=threads)
        return _solved(state, [*self.train, *more], self.test, self.config, say)


def fit(
    structures: Iterable[Any],
    basis: BasisSpec | Mapping[str, Any] | None = None,
    *,
    solver: Solver | str | Mapping[str, Any] | None = None,
    prior: Prior | str | Mapping[str, Any] | None = None,
    observables: Sequence[str] = ("energy", "forces"),
    weights: Mapping[str, Weights | Mapping[str, float]] | None = None,
    e0: Mapping[str, float] | None = None,
    restraint: Restraint | Mapping[str, float] | None = None,
    committee: Committee | Mapping[str, int] | None = None,
    test: Iterable[Any] = (),
    threads: int | None = None,
    say: Say | None = None,
    checkpoint: str | Path | None = None,
) -> Fit:
    """Fit a model to structures.

    What is not given has the default of fit.toml; mappings have its keys.

    Args:
        structures: with labels; of acepot, or Atoms of ASE, whose labels are found by name.
        basis: the basis functions; elements that it does not name are those of the structures.
        solver: the method, its name ("qr", "blr") or a mapping.
        prior: smoothness, likewise.
        observables: what enters the fit.
        weights: of the rows, by config type.
        e0: energy of the isolated atom in eV by symbol.
        restraint: of the pair potential at short distance.
        committee: of the posterior.
        test: structures that are only predicted.
        threads: structures handled at once; None: one per processor.
        say: called with lines for people; None: silent.
        checkpoint: a folder to go on from, and to leave state in, if this process is ended; it
            is gone when the fit is there.

    Returns:
        The model with its posterior, ready to go on with `Fit.add`.

    Raises:
        InputError: structures or settings are wrong; the message says what to change.
    """
    given: dict[str, Any] = {
        "basis": basis, "solver": solver, "prior": prior, "observables": tuple(observables),
        "weights": weights, "e0": e0, "restraint": restraint, "committee": committee,
    }  # fmt: skip
    for name in ("solver", "prior"):
        if isinstance(given[name], str):
            given[name] = {"kind": given[name]}
    recipe = from_mapping(Recipe, {k: v for k, v in given.items() if v is not None})
    train, tested = _as_structures(structures), _as_structures(test, none=True)
    if checkpoint is None:
        return fit_structures(train, tested, recipe, threads=threads, say=say)
    with memory_in(checkpoint) as memory:
        done = fit_structures(train, tested, recipe, threads=threads, say=say, memory=memory)
        memory.remove()
    return done


def fit_structures(
    train: list[Structure],
    test: list[Structure],
    recipe: Recipe,
    *,
    config: FitConfig | None = None,
    threads: int | None = None,
    say: Say | None = None,
    memory: Memory | None = None,
) -> Fit:
    """Fit a model by a recipe: what `fit` and `run_fit` have in common.

    Args:
        train: training structures.
        test: test structures.
        recipe: what is fitted and how.
        config: of the files that the structures are from.
        threads: structures handled at once; None: one per processor.
        say: called with lines for people; None: silent.
        memory: where checkpoints go.

    Raises:
        InputError: structures or settings are wrong.
    """
    threads, tell = threads or processors(), say or _silent
    choice = choose(recipe, train, test, "observables" if config is None else "data.fit")
    recipe = choice.recipe
    basis = LoweredBasis.of(recipe.basis, choice.e0, tell)
    chosen = np.linspace(0, len(train) - 1, min(_PROBES, len(train))).astype(int).tolist()
    job = Job(train, recipe, basis, threads, say, memory, frozenset(chosen))
    rows, kept = job.from_the_start()
    if _restrained(recipe):
        rows.add(*restraint_rows(basis.spec, basis.expanded, recipe.restraint))
    if config is not None:
        config = replace(config, basis=recipe.basis, e0=recipe.e0)
    return _solved(_Assembled(choice, basis, rows, kept, threads), train, test, config, say)


def _solved(
    state: _Assembled,
    train: list[Structure],
    test: list[Structure],
    config: FitConfig | None,
    say: Say | None,
) -> Fit:
    """The fit of the rows there are."""
    recipe, basis = state.choice.recipe, state.basis
    problem = state.rows.finish()
    kind = recipe.solver.kind
    (say or _silent)(f"solving: {problem.rows} rows, {problem.columns} functions, {kind}")
    solution = solve(problem, recipe.prior.gamma(basis.expanded), recipe.solver)
    committee = None
    if recipe.committee.size:
        generator = np.random.default_rng(recipe.committee.seed)
        committee = solution.draw(recipe.committee.size, generator)
    model = replace(
        basis.blank,
        coefficients=solution.coefficients,
        committee=committee,
        provenance=_provenance(state.choice, config, train, test, solution),
    )
    return Fit(model, solution, recipe, train, test, config, state)


def _restrained(recipe: Recipe) -> bool:
    return recipe.restraint.weight > 0 and applies(recipe.basis)


def _provenance(
    choice: Choice,
    config: FitConfig | None,
    train: list[Structure],
    test: list[Structure],
    solution: Solution,
) -> dict[str, Any]:
    """What a model remembers of its making: nothing that changes from run to run."""
    mapping = to_mapping(choice.recipe if config is None else config)
    if config is not None:
        mapping["data"]["train"] = [Path(name).name for name in config.data.train_files]
        mapping["data"]["test"] = [Path(name).name for name in config.data.test_files]
    del mapping["basis"]  # the model holds it
    return {
        "fit": mapping,
        "structures": {"train": len(train), "test": len(test)},
        "atoms": {"train": sum(map(len, train)), "test": sum(map(len, test))},
        "shortest distances": choice.shortest,
        "e0 origin": choice.origin,
        "solver": _solver_report(choice.recipe.solver, solution),
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


def _as_structures(given: Iterable[Any] | Structure, none: bool = False) -> list[Structure]:
    """Structures as they are, Atoms of ASE with the labels that are found in all of them.

    Raises:
        InputError: neither, or none where there must be some.
    """
    found = [given] if isinstance(given, Structure) else list(given)
    if not found and not none:
        raise InputError("structures: expected at least one, got none")
    atoms = [one for one in found if not isinstance(one, Structure)]
    made = iter(from_atoms_list(atoms)[0] if atoms else [])
    return [one if isinstance(one, Structure) else next(made) for one in found]


def _silent(_line: str) -> None:
    pass
