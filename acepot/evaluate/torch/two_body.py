"""Two-body functions in torch: sums over neighbours that enter the densities directly.

Written in the subset of Python that TorchScript compiles.
"""

from math import pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acepot.evaluate.torch.geometry import RadialSplines

Ints = NDArray[np.int64]


class TwoBody(torch.nn.Module):
    """Functions Σ_j R_c(r_ij) of one radial table, summed over c before they are evaluated.

    Args:
        splines: the table of the channels.
        species: species of the neighbours of each function, shape (D,).
        channel: its channel of the table, shape (D,).
        term: its number among the weights, shape (D,).
    """

    target: Tensor
    term: Tensor

    def __init__(self, splines: RadialSplines, species: Ints, channel: Ints, term: Ints) -> None:
        super().__init__()
        self.splines = splines
        self.y00 = 1 / sqrt(4 * pi)
        channels = splines.coefficients.shape[2]
        self.register_buffer("target", torch.tensor(species * channels + channel))
        self.register_buffer("term", torch.tensor(term))

    def fold(self, weights: Tensor) -> Tensor:
        """The table of the sums.

        Args:
            weights: of all terms, shape (P, T).

        Returns:
            Coefficients as those of `RadialSplines`, of one channel per density.
        """
        table = self.splines.coefficients
        species, channels = self.splines.begin.shape[0], table.shape[2]
        mine = weights.index_select(1, self.term).t() * self.y00
        each = torch.zeros(
            (species * channels, mine.shape[1]), dtype=table.dtype, device=table.device
        ).index_add(0, self.target, mine)
        folded = table.reshape(species, -1, channels) @ each.reshape(species, channels, -1)
        return folded.reshape(-1, 6, mine.shape[1])

    def forward(self, weights: Tensor, other: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Values and slopes of the sums, one for each density, shape (E, P).

        Args:
            weights: as `fold`.
            other: species of the neighbours, shape (E,).
            r: distances in Å, shape (E,).
        """
        return self.splines.lookup(self.fold(weights), other, r)

    def values(self, weights: Tensor, other: Tensor, r: Tensor) -> Tensor:
        """Values as `forward`, for autograd."""
        return self.splines.values(self.fold(weights), other, r)
