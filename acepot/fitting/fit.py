"""fit: from labelled structures to a model, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.irrep import SCALAR
from acepot.basis.selection import basis_size, select
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import most_l, processors
from acepot.fitting.assembled import Assembled
from acepot.fitting.assembly import Job
from acepot.fitting.choice import Choice, choose
from acepot.fitting.config import FitConfig
from acepot.fitting.dataset import as_structures, row_counts
from acepot.fitting.default_basis import smaller_basis
from acepot.fitting.fitted import Fit, Say, decided, restrained, silent, solved
from acepot.fitting.forecast import (
    Forecast,
    foresee_memory,
    gigabytes,
    measured,
    nominal,
    refusal,
)
from acepot.fitting.gathered import Gathered
from acepot.fitting.labels.examination import trusted
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.newton_cg import NewtonCG
from acepot.fitting.nonlinear.resumed import learned as learn_radials
from acepot.fitting.observables import Observable
from acepot.fitting.priors import Prior
from acepot.fitting.recipe import (
    TRIED,
    Committee,
    Densities,
    LearnedRadials,
    Recipe,
    Restraint,
    Weights,
)
from acepot.fitting.restraint import restraint_rows
from acepot.fitting.resume import Memory, memory_in
from acepot.fitting.solvers import Solver
from acepot.fitting.squeezed import squeezed
from acepot.fitting.weighting import Weighting
from acepot.run.progress import clock
from acepot.schema import from_mapping
from acepot.structure import Structure

__all__ = ["check_harmonics", "fit", "fit_structures"]

#: Structures whose design rows are kept to compare with the saved model afterwards.
_PROBES = 12
#: Rows × functions² below which nothing is forecast, and seconds from which a forecast is told.
_SMALL, _WORTH_TELLING = 2e9, 3.0


def fit(
    structures: Iterable[Any],
    basis: BasisSpec | Mapping[str, Any] | None = None,
    *,
    solver: Solver | str | Mapping[str, Any] | None = None,
    prior: Prior | str | Mapping[str, Any] | None = None,
    observables: Sequence[str] | None = None,
    weights: Mapping[str, Weights | Mapping[str, float]] | None = None,
    e0: Mapping[str, float] | None = None,
    restraint: Restraint | Mapping[str, float] | None = None,
    committee: Committee | Mapping[str, int] | None = None,
    embedding: Mapping[str, Densities | Mapping[str, Any]] | None = None,
    nonlinear: NewtonCG | Mapping[str, Any] | None = None,
    learned: LearnedRadials | Mapping[str, Any] | None = None,
    weighting: Weighting | Mapping[str, Any] | None = None,
    test: Iterable[Any] = (),
    threads: int | None = None,
    say: Say | None = None,
    checkpoint: str | Path | None = None,
    accept_labels: bool = False,
) -> Fit:
    """Fit a model to structures.

    What is not given has the default of fit.toml; mappings have its keys.

    Args:
        structures: with labels; of acepot, or Atoms of ASE, whose labels are found by name.
        basis: the basis functions; elements that it does not name are those of the structures.
        solver: the method, its name ("qr", "blr") or a mapping.
        prior: smoothness, likewise.
        observables: what enters the fit; None: energies and forces, and virials if their labels
            are consistent with these.
        weights: of the rows, by config type.
        e0: energy of the isolated atom in eV by symbol.
        restraint: of the pair potential at short distance.
        committee: of the posterior.
        embedding: makes the model nonlinear: densities by element, "default" for all others.
        nonlinear: how such a model is fitted.
        learned: makes radial functions combinations that are learned from the data; {}: with
            defaults.
        weighting: what multiplies the weights of each structure.
        test: structures that are only predicted.
        threads: structures handled at once; None: one per processor.
        say: called with lines for people; None: silent.
        checkpoint: a folder to go on from, and to leave state in, if this process is ended; it
            is gone when the fit is there.
        accept_labels: fit labels that cannot be right as they are.

    Returns:
        The model with its posterior, ready to go on with `Fit.add`.

    Raises:
        InputError: structures or settings are wrong; the message says what to change.
    """
    given: dict[str, Any] = {
        "basis": basis, "solver": solver, "prior": prior,
        "weights": weights, "e0": e0, "restraint": restraint, "committee": committee,
        "embedding": embedding, "nonlinear": nonlinear, "learned": learned,
        "weighting": weighting,
    }  # fmt: skip
    given |= {"tried": TRIED} if observables is None else {"observables": tuple(observables)}
    for name in ("solver", "prior"):
        if isinstance(given[name], str):
            given[name] = {"kind": given[name]}
    recipe = from_mapping(Recipe, {k: v for k, v in given.items() if v is not None})
    notes: list[str] = []
    train, tested = as_structures(structures, notes=notes), as_structures(test, none=True)
    how: dict[str, Any] = {
        "threads": threads, "say": say, "notes": notes, "accept_labels": accept_labels,
    }  # fmt: skip
    if checkpoint is None:
        return fit_structures(train, tested, recipe, **how)
    with memory_in(checkpoint) as memory:
        done = fit_structures(train, tested, recipe, memory=memory, **how)
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
    notes: Sequence[str] = (),
    accept_labels: bool = False,
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
        notes: what was doubtful about the labels when they were read.
        accept_labels: fit labels that cannot be right as they are.

    Raises:
        InputError: structures or settings are wrong, or labels that are not accepted.
    """
    threads, tell = threads or processors(), say or silent
    if all(one.label(s) is None for one in Observable.among(recipe.tried) for s in train):
        recipe = replace(recipe, tried=())
    where = "observables" if config is None else "data.fit"
    choice = choose(recipe, train, test, where, threads=threads, watched=say is not None)
    recipe = choice.recipe
    train = recipe.weighting.weighed(train, choice.e0)
    chosen = np.linspace(0, len(train) - 1, min(_PROBES, len(train))).astype(int).tolist()
    counts = row_counts(train, (*recipe.observables, *recipe.tried))
    # Of every thread a structure, and its force rows once more before they are written.
    held = sum(counts[i] for i in chosen) + (2 * threads + 1) * max(counts)
    check_harmonics(recipe.basis)
    _check_memory(recipe.basis, counts, held)
    choice = trusted(choice, train, test, notes, tell, accept=accept_labels, threads=threads)
    choice = _weighed(choice, train, tell)
    if choice.basis_line:
        tell(f"basis: {choice.basis_line}")
    basis = LoweredBasis.of(recipe.basis, choice.e0, tell, watched=say is not None)
    artificial = _artificial(choice)
    job = Job([*train, *artificial], recipe, basis, threads, say, memory, frozenset(chosen))
    cost = None if say is None else _forecast(job, counts, held, say)
    solving = None if cost is None else cost.solving
    begun = job.checkpoint()
    learning = None if memory is None else memory.learning
    if learning is None or learning.ended is None:
        state, begun = _assembled(job, choice, begun, solving), None
        if recipe.learned is not None:
            learning = learn_radials(state, job.structures, tell, memory=memory, start=learning)
    if learning is not None:
        functions = basis.learned(learning.best, learning.by_l)
        state = _assembled(replace(job, basis=functions), choice, begun, solving)
        state = replace(state, learning=learning)
    state = replace(state, artificial=tuple(artificial))
    if config is not None:
        config = replace(config, basis=recipe.basis, e0=recipe.e0)
    return solved(state, train, test, config, say, memory=memory)


def _assembled(
    job: Job, choice: Choice, begun: tuple[int, Gathered] | None, solving: float | None
) -> Assembled:
    """All rows of a basis, with virials if they are consistent.

    Args:
        job: its structures.
        choice: recipe and E0.
        begun: rows of a checkpoint; None: there are none.
        solving: seconds that the solver should take; None: not known.
    """
    basis, recipe = job.basis, job.recipe
    gathered, kept = job.from_the_start(begun)
    if restrained(recipe):
        gathered.fitted.add(*restraint_rows(basis.spec, basis.expanded, recipe.restraint))
    state = Assembled(choice, basis, gathered.fitted, kept, job.threads, solving)
    return decided(state, gathered, job.say or silent)


def _artificial(choice: Choice) -> list[Structure]:
    """Squeezed cells that a recipe asks for.

    Raises:
        InputError: no energies are fitted.
    """
    recipe = choice.recipe
    if not recipe.restraint.cells:
        return []
    if "energy" not in recipe.observables:
        raise InputError(
            "restraint.cells: squeezed cells have energies alone, which are not fitted here; "
            "expected 0"
        )
    return squeezed(recipe.basis.elements, choice.shortest, choice.e0, recipe.restraint.cells)


def check_harmonics(spec: BasisSpec) -> None:
    """Refuse a basis whose harmonics the compiled code does not take, before it is built.

    Raises:
        InputError: the message says which l there are, and what to do.
    """
    if spec.symmetries != (SCALAR,):
        return  # no energies; LoweredBasis says so
    chosen = select(spec, SCALAR).values()
    found = max(l for functions in chosen for factors in functions for l, _, _ in factors)
    if found > most_l():
        raise InputError(
            f"basis: functions with l up to {found} are selected, expected at most {most_l()}, "
            f"which the compiled evaluator takes: raise wl, or set max_l = {most_l()}"
        )


def _check_memory(spec: BasisSpec, counts: Sequence[int], held: int) -> None:
    """Refuse a basis whose fit does not fit in the memory, before it is built."""
    if spec.symmetries != (SCALAR,):
        return  # no energies; LoweredBasis says so
    rows = sum(counts)

    def instead(most: int) -> str:
        if spec.functions:
            return "name fewer functions"
        degrees, size = smaller_basis(spec, min(most, max(rows // 3, 1)))
        shown = ",".join(f"{d:g}" for d in degrees)
        return (
            f"--degree {shown} (basis.degree = [{shown}]) would give {size:,} functions, "
            f"{gigabytes(foresee_memory(size, held))}, {clock(nominal(size, rows))}"
        )

    if error := refusal(basis_size(spec)["total"], rows, held, instead):
        raise error


def _forecast(job: Job, counts: Sequence[int], held: int, say: Say) -> Forecast | None:
    """The cost of a fit, told where it is more than a few seconds; None for a small one."""
    functions, rows = job.basis.expanded.size, sum(counts)
    if rows * functions**2 < _SMALL:
        return None
    order = np.argsort(counts, kind="stable")
    middle = [int(order[len(order) * k // 4]) for k in (2, 1, 3)]
    probes = [(counts[i], partial(job.make, job.structures[i])) for i in middle]
    cost = measured(functions, rows, job.threads, held, probes)
    if cost.assembling + cost.solving > _WORTH_TELLING:
        say(cost.line())
    return cost


def _weighed(choice: Choice, train: Sequence[Structure], say: Say) -> Choice:
    """Something must be fitted beside the restraint, and count more than it.

    Returns:
        The choice, with a warning if the restraint outweighs all labels.

    Raises:
        InputError: every label has the weight 0.
    """
    recipe, used = choice.recipe, Observable.among(choice.recipe.observables)
    labelled = ((s, one) for s in train for one in used if one.label(s) is not None)
    largest = max((recipe.weights_of(s).of(one) for s, one in labelled), default=0.0)
    if largest == 0:
        raise InputError(
            f"weights: all {', '.join(recipe.observables)} labels of the training structures have "
            "the weight 0 or are missing; give one of them a weight above 0"
        )
    if not restrained(recipe) or largest >= recipe.restraint.weight:
        return choice
    line = (
        f"weights: no label has more than {largest:g}, less than the artificial dimers of the "
        f"restraint (restraint.weight = {recipe.restraint.weight:g}), which then spoil the fit; "
        "give larger weights or a smaller restraint.weight"
    )
    say(f"warning: {line}")
    return replace(choice, warnings=(*choice.warnings, line))
