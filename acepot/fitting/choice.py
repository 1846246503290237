"""What a recipe leaves open, chosen from the data: elements, E0, and what the model remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from acepot.basis.choices import CUTOFF_IN_R0, pair_number, resolve
from acepot.basis.spec import BasisSpec
from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.fitting.cutoff_trial import CutoffTrial, cutoff_trial
from acepot.fitting.dataset import elements, reference_energies, shortest_distances
from acepot.fitting.default_basis import chosen_basis, facts
from acepot.fitting.observables import Observable
from acepot.fitting.recipe import Recipe
from acepot.fitting.solvers import QR
from acepot.structure import Structure

__all__ = ["Choice", "choose"]

#: Shortest distances are looked for below this, in Å.
_REACH = 4.0
#: Radial functions that are learned, where neither they nor the degree are given: with so many a
#: basis of half the size describes as much.
_LEARNED = 5


@dataclass(frozen=True)
class Choice:
    """A recipe with every default written out, and facts about the data.

    Args:
        recipe: resolved.
        e0: energy of the isolated atom in eV by symbol.
        origin: where each came from.
        shortest: shortest distance in Å of every pair of elements in the training structures,
            below 4 Å.
        basis_line: what of the basis was chosen from the data, in a line; "" if nothing was.
        trial: how shorter cut-offs compare with longer ones; None: that was not asked.
        warnings: what is strange about the labels.
    """

    recipe: Recipe
    e0: dict[str, float]
    origin: dict[str, str]
    shortest: dict[str, float]
    basis_line: str = ""
    trial: CutoffTrial | None = None
    warnings: tuple[str, ...] = ()

    def with_more(self, structures: Sequence[Structure]) -> Choice:
        """The same with what further training structures add.

        Raises:
            InputError: they hold an element that the basis does not have.
        """
        known = self.recipe.basis.elements
        if strange := set(elements(structures)) - set(known):
            raise InputError(
                f"structures: expected the elements {', '.join(known)} of this fit, got "
                f"{', '.join(sorted(strange))}; fit anew with them in basis.elements"
            )
        found = [
            self.shortest,
            *(shortest_distances(s, _REACH, k) for k, s in enumerate(structures)),
        ]
        return replace(self, shortest=_least(found))


def choose(
    recipe: Recipe,
    train: Sequence[Structure],
    test: Sequence[Structure],
    where: str,
    *,
    threads: int = 1,
    watched: bool = False,
) -> Choice:
    """Resolve a recipe.

    Args:
        recipe: as given.
        train: training structures.
        test: test structures, whose elements are part of the model.
        where: what the observables are called in messages.
        threads: structures handled at once, on which nothing depends.
        watched: show how far a trial of cut-offs is, where that takes more than a second.

    Raises:
        InputError: data and recipe do not fit together.
    """
    _check(recipe, train, test, where)
    found = elements([*train, *test])
    wanted = recipe.basis.elements
    if wanted and (missing := set(found) - set(wanted)):
        raise InputError(
            f"basis.elements: the data hold {', '.join(sorted(missing))}, "
            f"which is not among {list(wanted)}"
        )
    # Whether an atom alone has images within the cut-off is asked when that is known.
    near = [
        shortest_distances(s, _REACH, number) if len(s) > 1 else {}
        for number, s in enumerate(train)
    ]
    symbols = tuple(sorted(set(wanted or found), key=atomic_number))
    known = facts(train, symbols, recipe.observables, near)
    plain = isinstance(recipe.solver, QR) and recipe.solver.damping == 0
    recipe = replace(recipe, basis=replace(recipe.basis, elements=symbols))
    trial = cutoff_trial(train, recipe, known, threads=threads, watched=watched)
    in_r0, why = (CUTOFF_IN_R0, "") if trial is None else (trial.in_r0, trial.line)
    open_spec, line = chosen_basis(recipe.basis, known, plain, in_r0, why)
    if recipe.basis.together and recipe.learned is None:
        raise InputError(
            "basis.together: radial functions alone tell elements apart: they must be learned; add "
            "the table [learned] (learned = {})"
        )
    if recipe.learned is not None:
        open_spec = replace(open_spec, bonds_once=False)  # both ways round they become different
        if recipe.basis.degree is None and recipe.basis.max_n is None and line:
            open_spec = replace(open_spec, max_n=_LEARNED)
            line = f"{line}, max_n {_LEARNED} as radial functions are learned"
    spec = resolve(open_spec)
    cutoff = _largest_cutoff(spec)
    shortest = [
        shortest_distances(s, max(cutoff, _REACH), number) if len(s) == 1 else one
        for number, (s, one) in enumerate(zip(train, near, strict=True))
    ]
    e0, origin = reference_energies(train, spec.elements, recipe.e0, cutoff, shortest)
    return Choice(replace(recipe, basis=spec, e0=e0), e0, origin, _least(shortest), line, trial)


def _check(
    recipe: Recipe, train: Sequence[Structure], test: Sequence[Structure], where: str
) -> None:
    for one in Observable.among(recipe.observables):
        if one.demand and all(one.label(s) is None for s in train):
            raise InputError(
                f"{where}: {one.name} is to be fitted, but no training structure has "
                f"{one.demand} or fit without {one.name}"
            )
    types = {s.config_type for s in (*train, *test)}
    if unknown := sorted(set(recipe.weights) - types - {"default"}):
        raise InputError(
            f"weights: no structure has the config type {', '.join(map(repr, unknown))}; "
            f"the data hold {', '.join(map(repr, sorted(types)))}"
        )


def _largest_cutoff(spec: BasisSpec) -> float:
    tables = (spec.cutoff, spec.pair.cutoff)
    pairs = [(a, b) for a in spec.elements for b in spec.elements]
    return max(pair_number(table, a, b, "cutoff") for table in tables for a, b in pairs)


def _least(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The shortest distance of every pair, below the reach."""
    names = sorted({name for one in found for name in one})
    least = {name: min(one[name] for one in found if name in one) for name in names}
    return {name: distance for name, distance in least.items() if distance < _REACH}
