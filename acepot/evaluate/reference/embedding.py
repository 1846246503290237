"""From densities to energies in the oracle."""

from __future__ import annotations

import numpy as np

from acepot.basis.embedding import embed
from acepot.basis.jet import Jet
from acepot.basis.pace_radial import inner_switch
from acepot.evaluate.protocol import Floats
from acepot.evaluate.reference.one_particle import Block, interpolate
from acepot.tables import Tables


def embedded(
    tables: Tables, s: int, block: Block, density: Floats
) -> tuple[Floats, Floats | None, Floats]:
    """E_i - E0 from the densities, dE_i/dρ_p, and what the core adds to dE_i/dr_j.

    Linear models: E = ρ. Otherwise E = F f + ρ_core, f switching F off where the core
    density is large, or (zbl) E = F f + (1 - f) ρ_core, f depending on the nearest
    neighbour.

    Args:
        tables: a lowered model.
        s: species of the atoms.
        block: the atoms.
        density: ρ_p, shape (P, a).

    Returns:
        Shapes (a,), (P, a) or None for ones, (a, J, 3).
    """
    how = tables.embeddings
    none = np.zeros(block.vector.shape)
    if how is None:
        return density[0], None, none
    terms = [
        [w * part for part in embed(bool(how.shifted[s]), float(m), rho)]
        for w, m, rho in zip(how.weight[s], how.exponent[s], density, strict=True)
    ]
    f_value = np.sum([t[0] for t in terms], axis=0)
    f_slope = np.array([t[1] for t in terms])
    if tables.core is None:
        return f_value, f_slope, none
    core, core_slope = np.zeros((2, *block.mask.shape))
    for z in np.unique(block.species):
        pair = block.species == z
        value, slope = interpolate(tables.core, s, int(z), block.distance[pair])
        core[pair], core_slope[pair] = value[:, 0], slope[:, 0]
    total = core.sum(axis=1)
    if how.mode == 2:
        return _zbl(how.inner[s], block, f_value, f_slope, total, core_slope)
    limit = Jet.variable(total)
    switch = inner_switch(limit, float(how.core_limit[s]), float(how.core_width[s]))
    weight = 1.0 + f_value * switch.first
    pull = (weight[:, None] * core_slope)[..., None] * block.unit
    return f_value * switch.value + total, f_slope * switch.value, pull


def _zbl(
    inner: Floats,
    block: Block,
    f_value: Floats,
    f_slope: Floats,
    core: Floats,
    core_slope: Floats,
) -> tuple[Floats, Floats, Floats]:
    """E = F f + (1 - f) ρ_core, f = P(δ - d; δ, δ), d = min_j (r_j - (r_in - δ))."""
    bound, width = inner[block.species].transpose(2, 0, 1)  # [a, j]
    gap = np.where(block.mask, block.distance - bound, np.inf)
    nearest = gap.argmin(axis=1)
    row = np.arange(len(nearest))
    delta = width[row, nearest]
    switch, slope = np.ones_like(core), np.zeros_like(core)
    for i in np.flatnonzero(np.isfinite(gap[row, nearest])):
        away = Jet.variable(np.array([delta[i] - gap[i, nearest[i]]]))
        jet = inner_switch(away, float(delta[i]), float(delta[i]))
        switch[i], slope[i] = jet.value[0], -jet.first[0]
    pull = ((1.0 - switch)[:, None] * core_slope)[..., None] * block.unit
    along = (f_value - core) * slope
    pull[row, nearest] += along[:, None] * block.unit[row, nearest]
    return f_value * switch + core * (1.0 - switch), f_slope * switch, pull
