"""What one potential of a sum holds."""

from __future__ import annotations

from dataclasses import dataclass

from acepot.basis.explicit import ExplicitProduct
from acepot.io.ace1.objects import Floats, JuliaObject
from acepot.io.ace1.radial import RadialMatrix


@dataclass(frozen=True, eq=False)
class Part:
    """One potential of a sum.

    Args:
        numbers: atomic numbers, ascending.
        radial: [centre][neighbour]; of a pair potential its pair functions.
        products: of a many-body potential.
        coefficients: in the order of ExplicitBasis, shape (K,).
        committee: shape (M, K), or None.
    """

    numbers: tuple[int, ...]
    radial: RadialMatrix
    products: tuple[ExplicitProduct, ...]
    coefficients: Floats
    committee: Floats | None


def committee_of(node: JuliaObject) -> JuliaObject | None:
    """The committee's coefficients, if there is a committee."""
    found = node.get("committee")
    return None if found is None or found.value in (None, "nothing") else found
