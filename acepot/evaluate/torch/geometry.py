"""Radial tables and harmonics in torch: values, and derivatives by the rules of each.

Written in the subset of Python that TorchScript compiles.
"""

from math import comb, factorial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from acepot.basis.harmonics import normalisation
from acepot.tables import RadialTable


class RadialSplines(torch.nn.Module):
    """A radial table of one central species, for some of its channels.

    Args:
        table: of all ordered pairs of species.
        centre: the central species.
        channels: which of its channels, shape (C,).
        dtype: of the numbers.
    """

    begin: Tensor
    end: Tensor
    spacing: Tensor
    last: Tensor
    coefficients: Tensor
    degree: Tensor
    knots: Tensor
    first: Tensor

    def __init__(
        self, table: RadialTable, centre: int, channels: NDArray[np.int64], dtype: torch.dtype
    ) -> None:
        super().__init__()
        coefficients = table.coefficients[centre][..., channels]  # [z, bin, k, c]
        self.width = coefficients.shape[1]
        self.register_buffer("begin", torch.tensor(table.begin[centre], dtype=dtype))
        self.register_buffer("end", torch.tensor(table.end[centre], dtype=dtype))
        self.register_buffer("spacing", torch.tensor(table.spacing[centre], dtype=dtype))
        self.register_buffer("last", torch.tensor(table.bins[centre] - 1, dtype=torch.int64))
        self.register_buffer("degree", torch.arange(1, 6, dtype=dtype))
        knots, first, self.deepest = _divided(table, centre)
        self.cells = first.shape[1]
        self.register_buffer("knots", torch.tensor(knots.ravel(), dtype=dtype))
        self.register_buffer("first", torch.tensor(first.ravel(), dtype=torch.int64))
        flat = coefficients.reshape(coefficients.shape[0] * self.width, 6, len(channels))
        self.register_buffer("coefficients", torch.tensor(flat, dtype=dtype))

    def place(self, other: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which polynomial, where in it, and whether it is one at all.

        Args:
            other: species of the neighbours, shape (E,).
            r: distances in Å, shape (E,).

        Returns:
            Rows of `coefficients`, u = t - knot, and whether r lies in the table, all (E,).
        """
        begin = self.begin.index_select(0, other)
        inside = (r >= begin) & (r < self.end.index_select(0, other))
        t = torch.where(inside, (r - begin) / self.spacing.index_select(0, other), 0.0)
        index = torch.minimum(t.detach().long(), self.last.index_select(0, other))
        if self.cells == 0:
            return other * self.width + index, t - index, inside
        cell = torch.clamp(t.detach().long(), max=self.cells - 1)
        index = self.first.index_select(0, other * self.cells + cell)
        begin = other * (self.width + 2)
        for _ in range(self.deepest):
            index = index + (t.detach() >= self.knots.index_select(0, begin + index + 1)).long()
        index = torch.minimum(index, self.last.index_select(0, other))
        knot = self.knots.index_select(0, begin + index)
        # Single precision may round a distance beyond a narrow interval.
        u = torch.minimum(t - knot, self.knots.index_select(0, begin + index + 1) - knot)
        return other * self.width + index, u, inside

    def values(self, table: Tensor, other: Tensor, r: Tensor) -> Tensor:
        """Values of channels, zero outside the table, for autograd, shape (E, C).

        Args:
            table: coefficients on this grid, shape (rows, 6, C): its own or sums of them.
            other: as `place`.
            r: as `place`.
        """
        row, u, inside = self.place(other, r)
        c, u = table.index_select(0, row), u.unsqueeze(1)
        value = c[:, 5]
        for k in range(4, -1, -1):
            value = torch.addcmul(c[:, k], value, u)
        return value * inside.unsqueeze(1)

    def lookup(self, table: Tensor, other: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """Values and slopes dR/dr of channels, zero outside the table, shape (E, C).

        Sums of six rows with weights u^k and k u^(k-1): no coefficient is copied.

        Args:
            table: as `values`.
            other: as `values`.
            r: as `values`.
        """
        row, u, inside = self.place(other, r)
        power = [inside.to(r.dtype)]
        for _ in range(5):
            power.append(power[-1] * u)
        powers = torch.stack(power, dim=1)  # [e, k]
        scale = self.spacing.index_select(0, other).unsqueeze(1)
        slopes = torch.zeros_like(powers)
        slopes[:, 1:] = powers[:, :-1] * self.degree / scale
        rows = row.unsqueeze(1) * 6 + torch.arange(6, device=r.device)
        flat = table.reshape(-1, table.shape[2])
        value = embedding_bag(rows, flat, mode="sum", per_sample_weights=powers)
        slope = embedding_bag(rows, flat, mode="sum", per_sample_weights=slopes)
        return value, slope


def _divided(table: RadialTable, centre: int) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Where intervals begin that are not equidistant, and how they are found.

    Returns:
        The knots of each neighbour, shape (S, bins + 2); the interval in which every whole t lies,
        shape (S, cells); the most knots between two of these. No cells where knots are equidistant.
    """
    species = len(table.bins)
    if table.knots is None:
        return np.zeros((species, 0)), np.zeros((species, 0), dtype=np.int64), 0
    # Nothing begins behind the last one.
    knots = np.pad(table.knots[centre], ((0, 0), (0, 1)))
    cells, deepest = 1, 0
    found = []
    for z, bins in enumerate(table.bins[centre]):
        knots[z, bins + 1 :] = np.finfo(np.float32).max
        used = knots[z, : bins + 1]
        whole = np.arange(int(used[-1]) + 1)
        found.append(np.searchsorted(used, whole, side="right") - 1)
        cells = max(cells, len(whole))
        deepest = max(deepest, int(np.diff(found[-1]).max(initial=0)))
    first = np.stack([np.pad(one, (0, cells - len(one)), mode="edge") for one in found])
    return knots, first, deepest


class Harmonics(torch.nn.Module):
    """Real harmonics Y_lm = N_lm Q_lm(z) c_m (or s_m), as in `basis/harmonics.py`.

    Q_lm are written in powers of z and c_m + i s_m = (x + iy)^m, so values and derivatives are
    products of two small matrices.

    Args:
        lmax: largest l.
        dtype: of the numbers.
    """

    legendre: Tensor
    legendre_slope: Tensor
    x_factor: Tensor
    y_factor: Tensor
    sum_m: Tensor
    phase: Tensor
    x_place: Tensor
    y_place: Tensor

    def __init__(self, lmax: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.lmax = lmax
        legendre = np.zeros((lmax + 2, (lmax + 1) ** 2))  # [power of z, lm]
        for l in range(lmax + 1):
            for m in range(-l, l + 1):
                for power, value in enumerate(_legendre(l, abs(m))):
                    legendre[power, l * l + l + m] = normalisation(lmax)[l, abs(m)] * value
        slope = legendre[1:] * np.arange(1, lmax + 2)[:, None]
        every_m = np.concatenate([np.arange(-l, l + 1) for l in range(lmax + 1)])
        phase = np.arange(-lmax, lmax + 1)  # s_lmax … s_1, c_0, … c_lmax
        k = np.abs(phase)
        lower = np.maximum(k - 1, 0)
        x_factor = np.where((phase > 0) | (phase < -1), k, 0)
        y_factor = np.where(phase < 0, k, np.where(phase > 1, -k, 0))
        floats = {
            "legendre": legendre[:-1],
            "legendre_slope": slope,
            "x_factor": x_factor,
            "y_factor": y_factor,
            "sum_m": (every_m[:, None] == phase).astype(float),
        }
        places = {
            "phase": every_m + lmax,
            "x_place": lmax + np.where(phase > 0, lower, -lower),
            "y_place": lmax + np.where(phase > 0, -lower, lower),
        }
        for name, array in floats.items():
            self.register_buffer(name, torch.tensor(array, dtype=dtype))
        for name, array in places.items():
            self.register_buffer(name, torch.tensor(array, dtype=torch.int64))

    def forward(self, unit: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values, and what `pullback` needs again.

        Args:
            unit: unit vectors, shape (E, 3).

        Returns:
            Y, shape (E, (lmax+1)²); N Q, the same shape; powers of z, shape (E, lmax+1); c_m
            and s_m, shape (E, 2 lmax + 1).
        """
        x, y, z = unit[:, 0], unit[:, 1], unit[:, 2]
        one = torch.ones_like(x)
        power, cosine, sine = [one], [one], [torch.zeros_like(x)]
        for k in range(self.lmax):
            power.append(power[k] * z)
            cosine.append(cosine[k] * x - sine[k] * y)
            sine.append(sine[k] * x + cosine[k] * y)
        phases = sine[1:]
        phases.reverse()
        powers, phase = torch.stack(power, dim=1), torch.stack(phases + cosine, dim=1)
        q = powers @ self.legendre
        return q * phase.index_select(1, self.phase), q, powers, phase

    def pullback(self, weight: Tensor, q: Tensor, powers: Tensor, phase: Tensor) -> Tensor:
        """Σ_lm weight_lm ∇Y_lm of the extension off the sphere, shape (E, 3).

        Args:
            weight: shape (E, (lmax+1)²).
            q: of `forward`.
            powers: of `forward`.
            phase: of `forward`.
        """
        by_m = (weight * q) @ self.sum_m  # [e, m]
        x = (by_m * phase.index_select(1, self.x_place)) @ self.x_factor
        y = (by_m * phase.index_select(1, self.y_place)) @ self.y_factor
        turned = weight * phase.index_select(1, self.phase)
        z = ((turned @ self.legendre_slope.t()) * powers).sum(dim=1)
        return torch.stack((x, y, z), dim=1)


def _legendre(l: int, m: int) -> list[float]:
    """Coefficients of d^m P_l/dz^m by powers of z."""
    out = [0.0] * (l - m + 1)
    for k in range(l // 2 + 1):
        power = l - 2 * k
        if power >= m:
            value = (-1) ** k * comb(l, k) * comb(2 * l - 2 * k, l)
            out[power - m] = value * (factorial(power) // factorial(power - m)) / 2**l
    return out
