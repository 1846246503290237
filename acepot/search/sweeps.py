"""One setting at a time takes several values: the candidates of a study of convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from acepot.basis.choices import MAX_ORDER, Degree, resolve, same_both_ways
from acepot.basis.selection import basis_size
from acepot.errors import InputError
from acepot.fitting.choice import Choice
from acepot.fitting.default_basis import cutoffs, fallen
from acepot.fitting.priors import Algebraic
from acepot.fitting.recipe import Recipe
from acepot.search.candidate import Candidate

__all__ = ["SWEEPS", "Sweep", "candidates", "usual"]


@dataclass(frozen=True)
class Sweep:
    """A setting and the values that it takes.

    Args:
        setting: one of `SWEEPS`.
        values: of it.
    """

    setting: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.setting not in SWEEPS:
            raise InputError(f"sweep: expected {', '.join(SWEEPS)}, got {self.setting!r}")
        if not self.values or any(not isfinite(one) or one <= 0 for one in self.values):
            raise InputError(
                f"sweep {self.setting}: expected numbers above 0, got {list(self.values)}"
            )
        whole = self.setting == "order"
        if whole and any(one != int(one) or one > MAX_ORDER for one in self.values):
            raise InputError(
                f"sweep order: expected whole numbers from 1 to {MAX_ORDER}, got "
                f"{list(self.values)}"
            )


@dataclass(frozen=True)
class _Base:
    """What does not change: the recipe as given, and as it is without a sweep."""

    given: Recipe
    known: Recipe

    def with_basis(self, **changes: object) -> Recipe:
        """Another basis, with what follows from the changed settings left to follow."""
        pair = replace(self.known.basis.pair, degree=self.given.basis.pair.degree)
        if "cutoff" in changes:
            pair = replace(pair, cutoff=self.given.basis.pair.cutoff)
        spec = replace(self.known.basis, pair=pair, bonds_once=False, **changes)  # type: ignore[arg-type]  # of BasisSpec
        spec = replace(spec, bonds_once=self.known.basis.bonds_once and same_both_ways(spec))
        return replace(self.known, basis=resolve(spec))


def _of_cutoff(base: _Base, value: float) -> Recipe:
    return base.with_basis(cutoff=value)


def _of_reach(base: _Base, value: float) -> Recipe:
    return base.with_basis(cutoff=cutoffs(base.known.basis, value))


def _of_order(base: _Base, value: float) -> Recipe:
    basis, order = base.known.basis, int(value)
    rows = {s: basis.degrees_of(s) for s in basis.elements}
    degree: dict[str, Degree] = {s: _ordered(row, order) for s, row in rows.items()}
    return base.with_basis(order=order, degree=degree)


def _of_degree(base: _Base, value: float) -> Recipe:
    basis = base.known.basis
    largest = max(max(basis.degrees_of(s)) for s in basis.elements)
    degree: dict[str, Degree] = {
        s: tuple(float(round(d * value / largest)) for d in basis.degrees_of(s))
        for s in basis.elements
    }
    return base.with_basis(degree=degree)


def _of_prior(base: _Base, value: float) -> Recipe:
    prior = base.known.prior
    if not isinstance(prior, Algebraic):
        raise InputError(
            f"sweep prior: its exponent is that of prior.kind = {Algebraic.kind!r}, got "
            f"{prior.kind!r}"
        )
    return replace(base.known, prior=replace(prior, p=value))


def _ordered(row: tuple[float, ...], order: int) -> tuple[float, ...]:
    """Degrees of another number of orders; those beyond are in proportion as for a default."""
    return tuple(row[k] if k < len(row) else float(round(row[0] * fallen(k))) for k in range(order))


#: What may be swept: cut-off in Å or in r0, order, largest degree, exponent of the prior.
SWEEPS: Mapping[str, Callable[[_Base, float], Recipe]] = {
    "cutoff": _of_cutoff,
    "reach": _of_reach,
    "order": _of_order,
    "degree": _of_degree,
    "prior": _of_prior,
}
#: Values where none are given: reaches, orders, parts of the largest degree, exponents.
_REACHES, _ORDERS = (1.5, 1.75, 2.0, 2.25, 2.5, 3.0), (1, 2, 3, 4)
_PARTS, _EXPONENTS = (0.4, 0.55, 0.7, 0.85, 1.0, 1.15), (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)


def usual(choice: Choice) -> tuple[Sweep, ...]:
    """Sweeps around a recipe of all that matters."""
    basis = choice.recipe.basis
    largest = max(max(basis.degrees_of(s)) for s in basis.elements)
    degrees = tuple(dict.fromkeys(float(round(part * largest)) for part in _PARTS))
    found = [
        Sweep("reach", _REACHES),
        Sweep("order", tuple(map(float, _ORDERS))),
        Sweep("degree", degrees),
    ]
    if isinstance(choice.recipe.prior, Algebraic):
        found.append(Sweep("prior", _EXPONENTS))
    return tuple(found)


def candidates(
    given: Recipe, choice: Choice, sweeps: Sequence[Sweep]
) -> Iterator[tuple[Sweep, float, Candidate]]:
    """The candidate of every value of every sweep.

    Args:
        given: the recipe before anything was chosen.
        choice: the same, resolved; what is not swept is as here.
        sweeps: they.

    Raises:
        InputError: a value is impossible.
    """
    basis = choice.recipe.basis
    if basis.functions and (bad := {s.setting for s in sweeps} & {"order", "degree"}):
        raise InputError(f"sweep {min(bad)}: not with basis.functions, a list of one's own")
    base = _Base(given, choice.recipe)
    for sweep in sweeps:
        for value in sweep.values:
            recipe = SWEEPS[sweep.setting](base, value)
            functions = basis_size(recipe.basis)["total"]
            name = f"{sweep.setting} {value:g}"
            yield sweep, value, Candidate(name, recipe, functions)
