"""From densities to the energy of an atom in torch: the formulas of `basis/embedding.py`.

Written in the subset of Python that TorchScript compiles.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from acepot.basis.embedding import REGULAR
from acepot.evaluate.torch.geometry import RadialSplines
from acepot.tables import Tables


def shifted_power(m: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    """F_m(ρ) and F_m'(ρ) of FinnisSinclairShiftedScaled, m other than 1."""
    a, sign = torch.abs(rho), torch.sign(rho)
    nu, e = 1.0 / m, torch.exp(-a)
    x, y = nu ** (nu / (1.0 - nu)), nu ** (1.0 / (1.0 - nu))
    base = x * e + a
    return sign * (base**m - y * e), m * (1.0 - x * e) * base ** (m - 1.0) + y * e


def regular_power(m: Tensor, rho: Tensor, regular: float) -> tuple[Tensor, Tensor]:
    """F_m(ρ) and F_m'(ρ) of FinnisSinclair, w = regular."""
    a, sign = torch.abs(rho), torch.sign(rho)
    scale = regular ** (1.0 - m)
    cube = torch.clamp((regular * a) ** 3, max=31.0)
    near = cube <= 30.0
    g = torch.where(near, torch.exp(-cube), 0.0)
    g_slope = torch.where(near, -3.0 * regular**3 * a**2 * g, 0.0)
    tiny = a <= 1e-10
    safe = torch.where(tiny, 1.0, a)
    power = safe**m
    value = (1.0 - g) * power + scale * g * safe
    slope = (1.0 - g) * m * power / safe + g_slope * (scale * safe - power) + scale * g
    return torch.where(tiny, scale * rho, sign * value), torch.where(tiny, scale, slope)


def switch(x: Tensor, end: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """PACE's P(x; end, width) and its derivative: 1 for x <= end - width, 0 for x >= end."""
    step = width <= 0.0
    safe = torch.where(step, 1.0, width)
    y = torch.clamp(-1.0 - 2.0 * (x - end) / safe, -1.0, 1.0)
    value = 0.5 + 3.75 * (y / 4 - y**3 / 6 + y**5 / 20)
    slope = -1.875 * (1.0 - y**2) ** 2 / safe
    below = (x <= end).to(x.dtype)
    return torch.where(step, below, value), torch.where(step, 0.0, slope)


class Surroundings(NamedTuple):
    """What the neighbours of some atoms add outside the densities.

    Args:
        core: ρ_core in eV, shape (atoms,).
        slope: dρ_core/dr in eV/Å, shape (E,).
        gap: for zbl the smallest r - (r_in - δ) in Å, else 1, shape (atoms,).
        delta: for zbl the δ of that edge in Å, else 1, shape (atoms,).
        nearest: for zbl the number of that edge, else 0, shape (atoms,).
    """

    core: Tensor
    slope: Tensor
    gap: Tensor
    delta: Tensor
    nearest: Tensor


class SiteEnergy(torch.nn.Module):
    """Energies of atoms of one species from their densities and core repulsion, less E0.

    Args:
        tables: a lowered model.
        centre: the species.
        dtype: of the numbers.
    """

    weight: Tensor
    exponent: Tensor
    limit: Tensor
    fall: Tensor
    inner: Tensor

    def __init__(self, tables: Tables, centre: int, dtype: torch.dtype) -> None:
        super().__init__()
        how = tables.embeddings
        species = len(tables.numbers)
        self.linear = how is None
        self.shifted = how is not None and bool(how.shifted[centre])
        self.regular = REGULAR
        self.core = torch.nn.ModuleList()
        self.mode = 0
        if how is not None and tables.core is not None:
            self.mode = 2 if how.mode == 2 else 1
            self.core.append(RadialSplines(tables.core, centre, np.zeros(1, dtype=np.int64), dtype))
        exponent = np.ones(1) if how is None else how.exponent[centre]
        floats = {
            "weight": np.ones(1) if how is None else how.weight[centre],
            "exponent": exponent,
            "limit": np.float64(1.0) if how is None else how.core_limit[centre],
            "fall": np.float64(1.0) if how is None else how.core_width[centre],
            "inner": np.zeros((species, 2)) if how is None else how.inner[centre],
        }
        for name, value in floats.items():
            self.register_buffer(name, torch.tensor(value, dtype=dtype))
        self.identity = [self.shifted and float(m) == 1.0 for m in exponent]

    def surroundings(self, local: Tensor, other: Tensor, r: Tensor, atoms: int) -> Surroundings:
        """What the neighbours add outside the densities.

        Args:
            local: number of the central atom of every edge, shape (E,).
            other: species of the neighbours, shape (E,).
            r: distances in Å, shape (E,).
            atoms: how many central atoms there are.
        """
        core = torch.zeros(atoms, dtype=r.dtype, device=r.device)
        slope = torch.zeros_like(r)
        for splines in self.core:
            value, slopes = splines.lookup(splines.coefficients, other, r)  # type: ignore[operator]
            core, slope = core.index_add(0, local, value[:, 0]), slopes[:, 0]
        gap, delta = torch.ones_like(core), torch.ones_like(core)
        nearest = torch.zeros(atoms, dtype=torch.int64, device=r.device)
        if self.mode == 2 and r.shape[0] > 0:
            inner = self.inner.index_select(0, other)
            away = r - inner[:, 0]
            least = torch.full_like(core, float("inf")).scatter_reduce(
                0, local, away.detach(), "amin"
            )
            number = torch.arange(r.shape[0], device=r.device)
            is_least = away.detach() == least.index_select(0, local)
            number = torch.where(is_least, number, r.shape[0])
            nearest = torch.full_like(nearest, r.shape[0]).scatter_reduce(0, local, number, "amin")
            alone = nearest == r.shape[0]
            nearest = torch.where(alone, 0, nearest)
            gap = torch.where(alone, 1.0, away.index_select(0, nearest))
            delta = torch.where(alone, 1.0, inner[:, 1].index_select(0, nearest))
        return Surroundings(core, slope, gap, delta, nearest)

    def forward(
        self, density: Tensor, core: Tensor, gap: Tensor, delta: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """E_i and its derivatives with respect to ρ_p, ρ_core and the gap of zbl.

        Args:
            density: ρ_p, shape (P, atoms).
            core: ρ_core in eV, shape (atoms,).
            gap: of `surroundings`.
            delta: of `surroundings`.

        Returns:
            Shapes (atoms,), (P, atoms), (atoms,), (atoms,).
        """
        if self.linear:
            return density[0], torch.ones_like(density), core, core
        values, slopes = [], []
        for p in range(density.shape[0]):
            if self.identity[p]:
                value, slope = density[p], torch.ones_like(density[p])
            elif self.shifted:
                value, slope = shifted_power(self.exponent[p], density[p])
            else:
                value, slope = regular_power(self.exponent[p], density[p], self.regular)
            values.append(self.weight[p] * value)
            slopes.append(self.weight[p] * slope)
        value, slope = torch.stack(values).sum(dim=0), torch.stack(slopes)
        if self.mode == 0:
            return value, slope, core, core
        if self.mode == 1:
            f, f_slope = switch(core, self.limit, self.fall)
            return value * f + core, slope * f, 1.0 + value * f_slope, core
        f, f_slope = switch(delta - gap, delta, delta)
        energy = value * f + core * (1.0 - f)
        return energy, slope * f, 1.0 - f, (core - value) * f_slope
