"""Candidates: recipes that are tried, and those among them that share their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from acepot.basis.choices import Degree, Pair
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.fitting.recipe import Recipe
from acepot.fitting.weighting import Uniform
from acepot.schema import to_mapping, to_toml

__all__ = ["Candidate", "Family", "families", "shares_rows"]

#: Functions of a family above which it is divided by order: rows of more take long to eliminate.
_MOST = 3000


@dataclass(frozen=True)
class Candidate:
    """One recipe.

    Args:
        name: of it, which no other one has.
        recipe: resolved.
        functions: how many its basis has.
        chain: what it has in common with smaller and larger ones.
        variant: name of the settings that it shares with others.
        twin: name of the linear one with the same functions; "" for linear ones.
        given: whether it is what a fit would take by itself.
    """

    name: str
    recipe: Recipe
    functions: int
    chain: str = ""
    variant: str = ""
    twin: str = ""
    given: bool = False


@dataclass(frozen=True)
class Family:
    """Candidates whose functions are among those of one basis, so that one set of rows serves all.

    Args:
        basis: resolved; for each order it goes as far as any of them.
        members: they.
    """

    basis: BasisSpec
    members: tuple[Candidate, ...]


def shares_rows(recipe: Recipe) -> bool:
    """Whether a fit is a linear problem of the structures as they are, and nothing more."""
    plain = not recipe.embedding and recipe.learned is None
    return plain and not recipe.restraint.cells and isinstance(recipe.weighting, Uniform)


def families(candidates: Iterable[Candidate]) -> list[Family]:
    """Linear candidates in groups that share rows; others alone.

    Args:
        candidates: in order; families come in the order of their first members.
    """
    groups: dict[str, list[Candidate]] = {}
    for one in candidates:
        own = _shared(one.recipe) if shares_rows(one.recipe) else one.name
        groups.setdefault(own, []).append(one)
    found = []
    for group in groups.values():
        whole = Family(_union([one.recipe.basis for one in group]), tuple(group))
        if len(group) > 1 and basis_size(whole.basis)["total"] > _MOST:
            by_order: dict[int, list[Candidate]] = {}
            for one in group:
                by_order.setdefault(one.recipe.basis.order, []).append(one)
            found += [
                Family(_union([c.recipe.basis for c in g]), tuple(g)) for g in by_order.values()
            ]
        else:
            found.append(whole)
    return found


def _shared(recipe: Recipe) -> str:
    """What rows depend on, beside which functions there are, as text."""
    basis = recipe.basis
    order = basis.order if basis.functions or basis.max_n or basis.max_l else 1
    degree = (0.0,) * order
    pair = replace(basis.pair, degree=None)
    plain = replace(basis, order=order, degree=degree, pair=pair)
    table = to_mapping(replace(recipe, basis=plain))
    for name in ("prior", "solver", "committee", "nonlinear"):
        table.pop(name, None)
    return to_toml(table)


def _union(specs: Sequence[BasisSpec]) -> BasisSpec:
    """The basis that holds the functions of all of them."""
    first = max(specs, key=lambda spec: spec.order)
    degree: dict[str, Degree] = {}
    for symbol in first.elements:
        rows = [spec.degrees_of(symbol) for spec in specs]
        degree[symbol] = tuple(
            max(row[order] for row in rows if len(row) > order) for order in range(first.order)
        )
    pair: Pair = replace(first.pair, degree=max(spec.pair.degree or 0 for spec in specs))
    return replace(first, degree=degree, pair=pair)
