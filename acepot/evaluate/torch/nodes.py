"""Nodes of the contraction in torch: sub-products of complex A, and the way back.

Features come first and atoms last in arrays of nodes, so that sums over few nodes of many atoms
are one call of `embedding_bag`. Written in the subset of Python that TorchScript compiles.
"""

from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from acepot.evaluate.torch.contraction import Contraction

Ints = NDArray[np.int64]


class Nodes(torch.nn.Module):
    """1, complex A, pairs and triples of atoms of one species.

    Args:
        plan: which.
        place: of each A (of that with m = 0) among the real A, shape (V,).
        m: its m, shape (V,).
        width: number of real A.
        dtype: of the numbers.
    """

    real_imaginary: Tensor
    scale: Tensor
    pair_left: Tensor
    pair_right: Tensor
    triple_left: Tensor
    triple_right: Tensor
    to_pair_order: Tensor
    to_pair_first: Tensor
    to_single_order: Tensor
    to_single_first: Tensor
    to_raw_order: Tensor
    to_raw_first: Tensor

    def __init__(
        self, plan: Contraction, place: Ints, m: Ints, width: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.singles, self.pairs, self.count = len(plan.single), len(plan.pairs), plan.nodes
        # Re A_v and Im A_v are each one real A, times a factor:
        # A^c_m = (-1)^m (A_m + i A_-m)/√2, A^c_-m = (A_m - i A_-m)/√2 for m > 0.
        sign = (1.0 - 2.0 * (m % 2)) / sqrt(2)
        real = np.where(m > 0, sign, np.where(m < 0, 1 / sqrt(2), 1.0))
        imaginary = np.where(m > 0, sign, np.where(m < 0, -1 / sqrt(2), 0.0))
        both = np.concatenate((place + np.abs(m), place - np.abs(m)))
        scale = torch.tensor(np.concatenate((real, imaginary)), dtype=dtype)
        self.register_buffer("scale", scale.unsqueeze(1))
        pairs, triples = plan.pairs, plan.triples
        self._integers("real_imaginary", both)
        self._integers("pair_left", pairs[:, 0])
        self._integers("pair_right", pairs[:, 1])
        self._integers("triple_left", triples[:, 0])
        self._integers("triple_right", triples[:, 1])
        self._sums("to_pair", triples[:, 0], len(pairs))
        into = np.concatenate((pairs[:, 0], pairs[:, 1], triples[:, 1]))
        self._sums("to_single", into, self.singles)
        self._sums("to_raw", both, width)

    def _integers(self, name: str, values: Ints) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64))

    def _sums(self, name: str, into: Ints, size: int) -> None:
        order = np.argsort(into, kind="stable")
        self._integers(f"{name}_order", order)
        self._integers(f"{name}_first", np.searchsorted(into[order], np.arange(size)))

    def forward(self, raw: Tensor) -> Tensor:
        """All nodes from the real A, shape (N, atoms), complex.

        Args:
            raw: shape (atoms, width).
        """
        both = raw.index_select(1, self.real_imaginary).t().contiguous() * self.scale
        single = torch.complex(both[: self.singles], both[self.singles :])
        pair = single.index_select(0, self.pair_left) * single.index_select(0, self.pair_right)
        one = torch.ones((1, raw.shape[0]), dtype=single.dtype, device=single.device)
        parts = [one, single, pair]
        if self.triple_left.shape[0] > 0:
            left = pair.index_select(0, self.triple_left)
            parts.append(left * single.index_select(0, self.triple_right))
        return torch.cat(parts)

    def _sum(self, values: Tensor, order: Tensor, first: Tensor) -> Tensor:
        """Rows of complex `values` in the order given, summed from one `first` to the next."""
        flat = torch.view_as_real(values).reshape(values.shape[0], -1)
        summed = embedding_bag(order, flat, first, mode="sum")
        return torch.view_as_complex(summed.reshape(first.shape[0], -1, 2))

    def pullback(self, x: Tensor, adjoint: Tensor) -> Tensor:
        """The adjoint of the real A, shape (atoms, width).

        Args:
            x: of `forward`.
            adjoint: g with dLoss = Re Σ g dx, shape (N, atoms).
        """
        single, pair = x[1 : 1 + self.singles], x[1 + self.singles :][: self.pairs]
        g_single = adjoint[1 : 1 + self.singles]
        g_pair = adjoint[1 + self.singles :][: self.pairs]
        g_triple = adjoint[1 + self.singles + self.pairs :]
        triples = g_triple.shape[0] > 0
        if triples:
            back = g_triple * single.index_select(0, self.triple_right)
            g_pair = g_pair + self._sum(back, self.to_pair_order, self.to_pair_first)
        parts = [
            g_pair * single.index_select(0, self.pair_right),
            g_pair * single.index_select(0, self.pair_left),
        ]
        if triples:
            parts.append(g_triple * pair.index_select(0, self.triple_left))
        if self.pairs > 0:
            g_single = g_single + self._sum(
                torch.cat(parts), self.to_single_order, self.to_single_first
            )
        both = torch.cat((torch.real(g_single), -torch.imag(g_single))) * self.scale
        return (
            embedding_bag(self.to_raw_order, both, self.to_raw_first, mode="sum").t().contiguous()
        )
