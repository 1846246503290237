"""The model of a run: fitted at the beginning, with more structures after every cycle.

What a fit is depends on the order in which structures came and on what was fitted together, to the
last bit. A run that goes on therefore repeats these steps: `Lessons` says what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from acepot.basis.spec import BasisSpec
from acepot.basis.species import atomic_number
from acepot.errors import AceError
from acepot.fitting.fit import fit
from acepot.fitting.fitted import Fit
from acepot.hal.chance import Use, chance
from acepot.hal.config import HalConfig
from acepot.hal.surface import ModelSurface, committee
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.posterior import Posterior

__all__ = ["Learner", "Lessons"]

#: Of the errors of structures left out, by which a larger basis must be better.
_BETTER = 0.98


@dataclass(frozen=True)
class Lessons:
    """What was fitted when.

    Args:
        level: of the basis, a place in `growth.degrees`; 0 where there are none.
        first: how many structures were fitted together at that level.
        parts: how many were added each time afterwards.
        looked: structures there were when the basis was last looked at.
    """

    level: int = 0
    first: int = 0
    parts: tuple[int, ...] = ()
    looked: int = 0

    @property
    def taught(self) -> int:
        """Structures that are in the fit."""
        return self.first + sum(self.parts)


class Learner:
    """The fit as it is, and the surface on which walkers move.

    Args:
        config: of the run.
        e0: energies of isolated atoms in eV by symbol.
        say: takes lines for people.

    Attributes:
        lessons: what was fitted when.
    """

    def __init__(
        self, config: HalConfig, e0: Mapping[str, float], say: Callable[[str], None]
    ) -> None:
        self._config, self._e0, self._say = config, dict(e0), say
        self._fit: Fit | None = None
        self._potential: UncertainPotential | None = None
        self._surface: tuple[int, Fit | None, ModelSurface] | None = None
        self.lessons = Lessons()

    @property
    def fit(self) -> Fit:
        """The fit as it is."""
        if self._fit is None:
            raise AceError("hal: nothing was fitted yet")
        return self._fit

    def teach(self, train: Sequence[Structure]) -> None:
        """Fit what there is, or add what is new, and look whether the basis should grow.

        Args:
            train: all structures that are fitted, in the order in which they came.
        """
        before = self.lessons
        if before.first == 0:
            self._fit = self._fitted(before.level, train)
            self.lessons = replace(before, first=len(train), looked=len(train))
        elif len(train) > before.taught:
            new = list(train[before.taught :])
            self._fit = self.fit.add(new)
            self.lessons = replace(before, parts=(*before.parts, len(new)))
        self._grow(train)

    def repeat(self, lessons: Lessons, train: Sequence[Structure]) -> None:
        """Make the fit that a run had, to the last bit.

        Args:
            lessons: what was fitted when.
            train: all structures that are fitted, in the order in which they came.
        """
        self.lessons = lessons
        self._fit = self._fitted(lessons.level, train[: lessons.first])
        ends = np.cumsum([lessons.first, *lessons.parts])
        parts = [list(train[a:b]) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        if parts:
            self._fit = self._fit.add_in_turn(parts)

    def surface(self, cycle: int) -> ModelSurface:
        """On which walkers of a cycle move.

        Args:
            cycle: of the run, for the members of a committee.
        """
        if self._surface is not None and self._surface[:2] == (cycle, self._fit):
            return self._surface[2]
        posterior, bias = self.posterior, self._config.bias
        if len(posterior.mean) > bias.exact_up_to:
            random = chance(self._config.run.seed, Use.COMMITTEE, cycle)
            posterior = committee(posterior, bias.members, random)
        known = self._potential
        if known is not None and known.posterior.model.basis == posterior.model.basis:
            self._potential = known.with_posterior(posterior)
        else:
            self._potential = UncertainPotential(posterior, self._config.run.threads)
        self._surface = (cycle, self._fit, ModelSurface(self._potential))
        return self._surface[2]

    @property
    def posterior(self) -> Posterior:
        """Of the coefficients as they are known now."""
        return self.fit.posterior

    @property
    def potential(self) -> Potential:
        """The model as it is."""
        return self.fit.potential

    def _basis(self, level: int, train: Sequence[Structure]) -> BasisSpec:
        basis, degrees = self._config.fit.basis, self._config.growth.degrees
        symbols = tuple(sorted(self._e0, key=atomic_number))
        basis = replace(basis, elements=basis.elements or symbols)
        if not degrees:
            return basis
        return replace(basis, degree=degrees[level])

    def _fitted(self, level: int, train: Sequence[Structure]) -> Fit:
        periodic = all(s.virial is not None for s in train if len(s) > 1 and s.pbc.all())
        repeats = any(s.virial is not None for s in train)
        kinds = ("energy", "forces", "virial") if periodic and repeats else ("energy", "forces")
        recipe = self._config.fit.recipe(self._basis(level, train), self._e0, kinds)
        present = {s.config_type for s in train} | {"default"}
        return fit(
            train,
            recipe.basis,
            solver=recipe.solver,
            prior=recipe.prior,
            observables=recipe.observables,
            weights={k: w for k, w in recipe.weights.items() if k in present},
            e0=self._e0,
            restraint=recipe.restraint,
            threads=self._config.run.threads,
            accept_labels=True,
        )

    def _grow(self, train: Sequence[Structure]) -> None:
        """Take the next larger basis if the data ask for it; whatever fails, the basis stays."""
        growth, lessons = self._config.growth, self.lessons
        if lessons.level + 1 >= len(growth.degrees) or len(train) - lessons.looked < growth.every:
            return
        self.lessons = replace(lessons, looked=len(train))
        try:
            larger = self._fitted(lessons.level + 1, train)
            now = self._fitted(lessons.level, train)
            better = self._is_better(now, larger)
        except AceError as error:
            self._say(f"the basis stays as it is: a larger one cannot be fitted ({error})")
            return
        degree = growth.degrees[lessons.level + 1]
        size = larger.assembled.basis.size["total"]
        if not better:
            self._say(f"the basis stays as it is: degree {degree:g} is no better")
            return
        self._say(f"the basis grows to degree {degree:g}, {size} functions")
        self._fit = larger
        self.lessons = Lessons(lessons.level + 1, len(train), (), len(train))

    def _is_better(self, now: Fit, larger: Fit) -> bool:
        if self._config.growth.by == "evidence":
            before, after = now.solution.log_evidence, larger.solution.log_evidence
            return before is not None and after is not None and after > before
        return _left_out(larger) < _BETTER * _left_out(now)


def _left_out(one: Fit) -> float:
    """Root mean square error of forces of structures left out in turn, in eV/Å."""
    errors = [p.errors["forces"] for p in one.left_out if "forces" in p.errors]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
