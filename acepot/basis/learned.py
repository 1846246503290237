"""A basis whose radial functions are combinations of others, R_c = Σ_k w_ck g_k, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acepot.basis.basis import Progress, RadialMatrix
from acepot.basis.expansion import Expansion
from acepot.basis.irrep import Irrep
from acepot.basis.pace_radial import MixedRadial
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError

__all__ = ["LearnedBasis", "channel_names"]


@dataclass(frozen=True, eq=False)
class LearnedBasis:
    """The products of a specification over radial functions that were learned from data.

    Where the specification has g_n, this basis has

        R_n(r) = Σ_k w_nk g_k(r),   or of every l its own,   R_nl(r) = Σ_k w_nlk g_k(r),

    with w of every ordered pair of elements. The pair part stays as it is.

    Args:
        spec: which products there are, and the g_k; resolved.
        weights: w [centre, neighbour, channel, k]; channels are in the order of `channel_names`.
        by_l: whether every l has radial functions of its own.

    Raises:
        InputError: weights that do not fit the specification, or that are not finite.
    """

    spec: BasisSpec
    weights: NDArray[np.float64]
    by_l: bool = False

    def __post_init__(self) -> None:
        weights = np.array(self.weights, dtype=float, order="C")
        species = len(self.spec.elements)
        if weights.ndim != 4 or weights.shape[:2] != (species, species) or 0 in weights.shape:
            raise InputError(
                f"learned.weights: expected shape ({species}, {species}, channels, functions), "
                f"got {weights.shape}"
            )
        if not np.isfinite(weights).all():
            raise InputError("learned.weights: expected finite numbers")
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LearnedBasis):
            return NotImplemented
        same = (self.spec, self.by_l) == (other.spec, other.by_l)
        return same and np.array_equal(self.weights, other.weights)

    def __hash__(self) -> int:
        return hash((self.spec.elements, self.by_l, self.weights.tobytes()))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the specification."""
        return self.spec.numbers

    @property
    def symmetries(self) -> tuple[Irrep, ...]:
        """Of the specification."""
        return self.spec.symmetries

    @property
    def constant(self) -> bool:
        """As the specification."""
        return self.spec.constant

    @property
    def knots(self) -> None:
        """Its radial functions are evaluated as they are."""
        return None

    @property
    def functions(self) -> int:
        """Number K of the g_k."""
        return int(self.weights.shape[3])

    def expansion(self, progress: Progress | None = None) -> Expansion:
        """That of the specification, over the channels of this basis.

        Raises:
            InputError: another number of channels than there are weights.
        """
        return self._renumbered

    @cached_property
    def _renumbered(self) -> Expansion:
        parts = self.spec.expansion()
        names = channel_names(parts, self.by_l)
        if len(names) != self.weights.shape[2]:
            raise InputError(
                f"learned.weights: expected {len(names)} channels of this specification, got "
                f"{self.weights.shape[2]}"
            )
        pairs = [channel for channel in parts.channels if channel[0] < 0]
        # The g_k come first in `MixedRadial`.
        learned = [(self.functions + c + 1,) for c in range(len(names))]
        position = {name: c for c, name in enumerate(names)}
        block_channel = [
            len(names) + pairs.index(channel) if channel[0] < 0
            else position[channel[0], int(l) if self.by_l else 0]
            for channel, l in zip(  # noqa: E741
                (parts.channels[c] for c in parts.block_channel), parts.block_l, strict=True
            )
        ]  # fmt: skip
        channels = (*learned, *pairs)
        return replace(parts, channels=channels, block_channel=np.array(block_channel, dtype=int))

    def radial_functions(self, count: int) -> RadialMatrix:
        """The g_k, then the R_c, however many are asked for."""
        plain = self.spec.radial_functions(self.functions)
        return [
            [MixedRadial(g, w) for g, w in zip(row, own, strict=True)]
            for row, own in zip(plain, self.weights, strict=True)
        ]

    def pair_functions(self) -> RadialMatrix | None:
        """Of the specification."""
        return self.spec.pair_functions()


def channel_names(parts: Expansion, by_l: bool) -> list[tuple[int, int]]:
    """(n, l) of the channels of the products of a basis, in order; l is 0 if all l share them.

    Args:
        parts: the basis written out.
        by_l: whether every l has radial functions of its own.

    Raises:
        InputError: products of radial functions, as the canonical formulation has them.
    """
    found = set()
    for number, l in zip(parts.block_channel, parts.block_l, strict=True):  # noqa: E741
        channel = parts.channels[number]
        if len(channel) > 1:
            raise InputError(
                "learned: radial functions are learned for products of A alone; expected "
                'basis.formulation = "self-interaction"'
            )
        if channel[0] > 0:
            found.add((channel[0], int(l) if by_l else 0))
    if not found:
        raise InputError("learned: this basis has a pair part alone: there is nothing to learn")
    return sorted(found)
