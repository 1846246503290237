"""Which candidates there are: orders × cut-offs × sizes × variants, as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from acepot.basis.choices import PairNumber, resolve, same_both_ways
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.choice import Choice, choose
from acepot.fitting.dataset import row_counts
from acepot.fitting.default_basis import cutoffs, smaller_basis
from acepot.fitting.fit import check_harmonics
from acepot.fitting.recipe import Recipe
from acepot.search.candidate import Candidate, shares_rows
from acepot.search.settings import PLAIN, SearchConfig, SearchSettings
from acepot.structure import Structure

__all__ = ["Plan", "plan"]

#: Least number of rows for one function, as for the basis that a fit chooses.
_ROWS_FOR_ONE = 2


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Args:
        choice: elements, E0 and the basis that a fit would take by itself.
        candidates: in the order in which they are tried, that basis first.
    """

    choice: Choice
    candidates: tuple[Candidate, ...]


def plan(
    config: SearchConfig, train: Sequence[Structure], test: Sequence[Structure], threads: int
) -> Plan:
    """Every candidate of a search.

    Args:
        config: of the search.
        train: training structures.
        test: test structures, whose elements are part of the models.
        threads: structures handled at once, on which nothing depends.

    Raises:
        InputError: data and configuration do not fit together, or leave nothing to search.
    """
    if config.fit.basis.degree is not None or config.fit.basis.functions:
        raise InputError(
            "basis.degree, basis.functions: these are what is searched: leave them out, and say "
            "how large models may be by search.functions"
        )
    recipes = {name: replace(one, tried=()) for name, one in config.recipes().items()}
    choice = choose(recipes[PLAIN], train, test, "data.fit", threads=threads)
    rows = sum(row_counts(train, choice.recipe.observables))
    functions = basis_size(choice.recipe.basis)["total"]
    found = [Candidate("default", choice.recipe, functions, variant=PLAIN, given=True)]
    for name, recipe in recipes.items():
        found += _of_variant(name, recipe, choice, config.search, rows // _ROWS_FOR_ONE)
    return Plan(choice, tuple(_with_twins(found)))


def _of_variant(
    variant: str, recipe: Recipe, choice: Choice, search: SearchSettings, most: int
) -> Iterator[Candidate]:
    """Those of one variant, small ones first."""
    given, known = recipe.basis, choice.recipe.basis
    open_spec = replace(
        given,
        elements=known.elements,
        r0=known.r0 if given.r0 is None else given.r0,
        wl=known.wl if given.wl is None else given.wl,
    )
    found: list[BasisSpec] = []
    degrees: dict[tuple[int, int], tuple[float, ...]] = {}  # which cut-offs do not change
    for size in sorted(one for one in search.functions if one <= most):
        for label, cutoff in _cutoffs(open_spec, search).items():
            for order in sorted(search.orders):
                spec = replace(open_spec, order=order, cutoff=cutoff)
                if (order, size) not in degrees:
                    degrees[order, size], _ = smaller_basis(spec, size)
                degree = degrees[order, size]
                both = same_both_ways(spec) and recipe.learned is None
                spec = resolve(replace(spec, degree=degree, bonds_once=both))
                counted = basis_size(spec)
                if not counted[f"order {order}"] or spec in found or not _compiled(spec):
                    continue
                found.append(spec)
                chain, functions = f"{variant}, order {order}, {label}", counted["total"]
                own = replace(recipe, basis=spec, e0=choice.e0)
                yield Candidate(f"{chain}, {functions}", own, functions, chain, variant)


def _compiled(spec: BasisSpec) -> bool:
    """Whether the compiled code takes its harmonics."""
    try:
        check_harmonics(spec)
    except InputError:
        return False
    return True


def _cutoffs(spec: BasisSpec, search: SearchSettings) -> dict[str, PairNumber]:
    """Those that are tried, by what they are called."""
    if spec.cutoff is not None:
        return {"given cut-offs": spec.cutoff}
    if search.cutoffs:
        return {f"{one:g} Å": one for one in search.cutoffs}
    return {f"{one:g} r0": cutoffs(spec, one) for one in search.reaches}


def _with_twins(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same, nonlinear ones with the name of the linear one that has their functions."""
    linear = [one for one in candidates if shares_rows(one.recipe)]

    def twin(one: Candidate) -> str:
        wanted = replace(one.recipe.basis, bonds_once=False)
        same = (c for c in linear if replace(c.recipe.basis, bonds_once=False) == wanted)
        return next((c.name for c in same), "")

    return [one if shares_rows(one.recipe) else replace(one, twin=twin(one)) for one in candidates]
