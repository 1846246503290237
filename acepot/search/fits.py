"""The fits of one candidate: with each part of the data left out in turn, and of all data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.fit import fit_structures
from acepot.fitting.fitted import silent
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.partition import Division
from acepot.fitting.problem import Part, Problem, joined
from acepot.fitting.recipe import Recipe
from acepot.fitting.solvers import solve
from acepot.fitting.solvers.heldout import HeldOut
from acepot.potential import Potential
from acepot.search.nested import columns_in
from acepot.structure import Structure

__all__ = ["Data", "Fits", "FitsOfRows", "FitsOfStructures", "Rows"]


@dataclass(frozen=True, eq=False)
class Data:
    """Structures, and which of them are left out together.

    Args:
        train: those that are fitted.
        test: those that are only predicted.
        folds: how many parts are left out in turn.
        threads: structures handled at once.
    """

    train: list[Structure]
    test: list[Structure]
    folds: int
    threads: int

    @property
    def division(self) -> Division:
        """Of the rows."""
        return Division(folds=self.folds)

    @cached_property
    def parts(self) -> list[NDArray[np.intp]]:
        """The numbers of the structures of each part."""
        found = np.array(self.division.folds_of(s.config_type for s in self.train))
        return [np.flatnonzero(found == fold) for fold in np.unique(found)]

    def without(self, part: NDArray[np.intp]) -> list[Structure]:
        """The training structures that are not in a part."""
        left = np.ones(len(self.train), dtype=bool)
        left[part] = False
        return [self.train[i] for i in np.flatnonzero(left)]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of all members of a family, in parts.

    Args:
        basis: whose functions are their columns.
        problem: they.
    """

    basis: LoweredBasis
    problem: Problem

    def of(self, basis: LoweredBasis) -> Problem:
        """Those of some of the functions, in parts."""
        columns = columns_in(basis.expanded, self.basis.expanded)
        parts = tuple(
            Part(joined([part.problem.among(columns)]), part.fold) for part in self.problem.parts
        )
        return replace(joined([part.problem for part in parts]), parts=parts)


class Fits(Protocol):
    """Fits of one candidate."""

    def without_each(self) -> Iterator[Potential]:
        """For each part of the data the model that does not know it.

        Raises:
            ConvergenceError: a fit failed.
        """
        ...

    def of_all(self) -> Potential:
        """The model of all training structures.

        Raises:
            ConvergenceError: the fit failed.
        """
        ...


class FitsOfRows:
    """Fits of a linear model to rows that are there.

    Args:
        recipe: resolved.
        rows: of a basis that holds its functions.
        data: whose rows they are.
    """

    def __init__(self, recipe: Recipe, rows: Rows, data: Data) -> None:
        self._recipe, self._threads = recipe, data.threads
        self._basis = LoweredBasis.of(recipe.basis, recipe.e0 or {}, silent)
        self._problem = rows.of(self._basis)
        self._gamma = recipe.prior.gamma(self._basis.expanded)

    def without_each(self) -> Iterator[Potential]:
        """As `Fits.without_each`."""
        return map(self._solved, HeldOut.of(self._problem, "search.folds").others)

    def of_all(self) -> Potential:
        """As `Fits.of_all`."""
        return self._solved(replace(self._problem, parts=()))

    def _solved(self, problem: Problem) -> Potential:
        solution = solve(problem, self._gamma, self._recipe.solver)
        model = replace(self._basis.blank, coefficients=solution.coefficients[None, None])
        return self._basis.potential(model, self._threads)


class FitsOfStructures:
    """Fits that make their own rows, as those of nonlinear models do.

    Args:
        recipe: resolved.
        data: structures.
    """

    def __init__(self, recipe: Recipe, data: Data) -> None:
        self._recipe, self._data = recipe, data

    def without_each(self) -> Iterator[Potential]:
        """As `Fits.without_each`."""
        return (self._fitted(self._data.without(part)) for part in self._data.parts)

    def of_all(self) -> Potential:
        """As `Fits.of_all`."""
        return self._fitted(self._data.train)

    def _fitted(self, train: list[Structure]) -> Potential:
        there = {"default", *(s.config_type for s in train)}
        weights = {name: one for name, one in self._recipe.weights.items() if name in there}
        recipe = replace(self._recipe, weights=weights)
        threads = self._data.threads
        # What is strange about the labels was looked at when the search began.
        return fit_structures(train, [], recipe, threads=threads, accept_labels=True).potential
