"""A smoothness prior on the functions of Σ: γ grows with n and l of sites and of bonds."""

from __future__ import annotations

import numpy as np

from acepot.basis.bond import bond_parts
from acepot.basis.expansion import Expansion
from acepot.evaluate.protocol import Floats
from acepot.friction.settings import FrictionSettings
from acepot.model import BondModel, FrictionPart, TensorModel

__all__ = ["roughness", "smoothness"]


def smoothness(part: FrictionPart, settings: FrictionSettings, trace: Floats) -> Floats:
    """γ of the functions of a coupling, shape (K,).

    γ_k = strength · g_k √(mean trace of a function), g_k from `roughness`: the size of a
    coefficient counts as much as what it would add to the trace of Γ of the data.

    Args:
        part: the coupling.
        settings: for the strength and the power.
        trace: what functions have in the trace of Γ, shape (K, K).
    """
    size = np.sqrt(np.mean(trace.diagonal()) / max(len(trace), 1))
    return np.asarray(settings.smoothness * size * roughness(part, settings.power))


def roughness(part: FrictionPart, power: float) -> Floats:
    """1 + Σ_t (n_t^p + l_t^p) over the factors of sites and n^p + l^p of the bond, shape (K,)."""
    found: list[Floats] = []
    if part.bonds is not None:
        own = _of_bonds(part.bonds, power)
        found += [own] if part.is_antisymmetric else [own, own]
    if part.sites is not None:
        found.append(_of_sites(part.sites, power))
    return np.concatenate(found)


def _of_factors(expansion: Expansion, power: float) -> list[Floats]:
    """Of the functions of each irrep of a basis."""
    used = expansion.labels.l >= 0
    n = np.where(used, expansion.labels.n, 0).astype(float)
    l = np.where(used, expansion.labels.l, 0).astype(float)  # noqa: E741
    grown = 1 + (n**power + l**power).sum(axis=1)
    return np.split(grown, np.cumsum(expansion.sizes)[:-1])


def _of_sites(model: TensorModel, power: float) -> Floats:
    return np.concatenate(_of_factors(model.basis.expansion(), power))


def _of_bonds(model: BondModel, power: float) -> Floats:
    sites = _of_factors(model.basis.expansion(), power)
    elements = len(model.basis.elements)
    constants = elements * model.basis.constant
    widths = [len(one) for one in sites]
    found = []
    for irrep in model.irreps:
        parts = bond_parts(model.basis.symmetries, widths, constants, elements, model.bonds, irrep)
        for one in parts:
            apart = model.bonds.alone is not None and model.basis.symmetries[one.site].l == 0
            g = sites[one.site]
            g = g[g == 1.0] if one.constant else g[g > 1.0] if apart and len(g) > one.width else g
            n = np.arange(1, one.degree + 1, dtype=float) ** power + float(one.l) ** power
            whole = g[:, None, None] + np.zeros((1, elements, 1)) + n
            found.append(whole.ravel())
    return np.concatenate(found)
