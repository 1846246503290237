"""Neighbours in blocks of atoms, and the one-particle functions A in the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.harmonics import real_harmonics
from acepot.errors import InputError
from acepot.evaluate.distances import refuse_closer
from acepot.evaluate.protocol import Floats, Ints
from acepot.neighbours import Edges
from acepot.tables import RadialTable, Tables

#: Numbers (of 8 bytes) that the largest array of one block of atoms may hold: larger blocks
#: leave the caches, smaller ones spend their time in the interpreter (both measured).
_BLOCK, _ROW_BLOCK = 250_000, 2_000_000


@dataclass(frozen=True, eq=False)
class Block:
    """Some atoms of one species with their neighbours, padded to the largest number J.

    Shapes: atoms (a,), neighbour/species (a, J), mask (a, J), vector and unit (a, J, 3),
    distance (a, J; infinite where there is no neighbour), radial and
    its derivative (a, J, C), harmonics (a, J, LM) and their gradient in 1/Å (a, J, LM, 3).
    """

    atoms: Ints
    neighbour: Ints
    species: Ints
    mask: NDArray[np.bool_]
    vector: Floats
    unit: Floats
    distance: Floats
    radial: Floats
    radial_slope: Floats
    harmonics: Floats
    gradient: Floats


class OneParticle:
    """A_v of every atom, and how they respond to its neighbours.

    Args:
        tables: a lowered model.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._lmax = int(tables.a_l.max(initial=0))
        self._channels = sum(t.coefficients.shape[-1] for t in tables.radial)
        self._groups = _matching_blocks(tables)

    def blocks(
        self, species: Ints, edges: Edges, rows: bool = False
    ) -> Iterator[tuple[int, Block]]:
        """Atoms in blocks of one species, sized so that arrays stay in memory."""
        neighbours = np.diff(edges.first)
        if len(edges.first) != len(species) + 1:
            raise InputError(
                f"edges: expected a list for {len(species)} atoms, got {len(edges.first) - 1}"
            )
        refuse_closer(self.tables, species, edges)
        for s in range(len(self.tables.numbers)):
            atoms = np.flatnonzero(species == s)
            if len(atoms) == 0:
                continue
            widest = max(int(neighbours[atoms].max()), 1)
            one = widest * max(4 * (self._lmax + 1) ** 2, 8 * self._channels)
            if rows:
                one = max(3 * len(self.tables.a_l) * max(widest, len(species)), 1)
            step = max(1, min(len(atoms), (_ROW_BLOCK if rows else _BLOCK) // one))
            for begin in range(0, len(atoms), step):
                yield s, self._block(s, atoms[begin : begin + step], species, edges)

    def _block(self, s: int, atoms: Ints, species: Ints, edges: Edges) -> Block:
        count = edges.first[atoms + 1] - edges.first[atoms]
        slot = np.arange(max(int(count.max()), 1))
        mask = slot < count[:, None]
        edge = np.where(mask, edges.first[atoms, None] + slot, 0)
        if len(edges.vector):
            neighbour, vector = edges.neighbour[edge], edges.vector[edge]
        else:
            neighbour, vector = np.zeros_like(edge), np.zeros((*edge.shape, 3))
        neighbour = np.where(mask, neighbour, atoms[:, None])
        vector = np.where(mask[..., None], vector, 0.0)
        distance = np.where(mask, np.linalg.norm(vector, axis=-1), np.inf)
        if not np.isfinite(vector).all():
            raise InputError("edges: expected finite vectors")
        unit = np.where(mask[..., None], vector, (0.0, 0.0, 1.0))
        unit = unit / np.where(mask, distance, 1.0)[..., None]
        other = species[neighbour]
        radial, slope = self._radial(s, other, distance)
        harmonics, gradient = real_harmonics(unit.reshape(-1, 3), self._lmax)
        harmonics = harmonics.reshape(*mask.shape, -1)
        gradient = gradient.reshape(*mask.shape, -1, 3)
        along = np.einsum("ajyx,ajx->ajy", gradient, unit)
        gradient -= along[..., None] * unit[:, :, None, :]
        gradient /= distance[..., None, None]
        return Block(
            atoms,
            neighbour,
            other,
            mask,
            vector,
            unit,
            distance,
            radial,
            slope,
            harmonics,
            gradient,
        )

    def _radial(self, s: int, other: Ints, distance: Floats) -> tuple[Floats, Floats]:
        """R_c(r) and dR_c/dr of every pair, shape (a, J, C)."""
        values = np.zeros((*distance.shape, self._channels))
        slopes = np.zeros_like(values)
        start = 0
        for table in self.tables.radial:
            stop = start + table.coefficients.shape[-1]
            for z in np.unique(other):
                pair = other == z
                r = distance[pair]
                value, slope = interpolate(table, s, int(z), r)
                values[pair, start:stop], slopes[pair, start:stop] = value, slope
            start = stop
        return values, slopes

    def values(self, block: Block) -> Floats:
        """A_v = Σ_j R Y with real harmonics, shape (A, a)."""
        out = np.empty((len(self.tables.a_l), len(block.atoms)))
        for group in self._groups:
            radial = block.radial[..., group.channels] * group.holds(block)[..., None]
            a = radial.transpose(0, 2, 1) @ block.harmonics[..., group.lm]  # [a, c, m]
            out[group.members] = a.reshape(len(a), -1).T
        return out

    def jvp(self, block: Block, moved: Floats) -> Floats:
        """dA_v = Σ_j dA_v/dr_j · u_j, shape (A, a), for u of shape (a, J, 3)."""
        out = np.empty((len(self.tables.a_l), len(block.atoms)))
        along = (moved * block.unit).sum(axis=-1)  # [a, j]
        for group in self._groups:
            same = group.holds(block)
            stretch = block.radial_slope[..., group.channels] * (along * same)[..., None]
            radial = block.radial[..., group.channels] * same[..., None]
            turn = np.einsum("ajmx,ajx->ajm", block.gradient[..., group.lm, :], moved)
            a = stretch.transpose(0, 2, 1) @ block.harmonics[..., group.lm]
            a += radial.transpose(0, 2, 1) @ turn
            out[group.members] = a.reshape(len(a), -1).T
        return out

    def _slopes(self, block: Block) -> Floats:
        """dA_v/dr_j, shape (a, A, 3, J)."""
        atoms, width = block.mask.shape
        out = np.empty((atoms, len(self.tables.a_l), 3, width))
        unit = block.unit.transpose(0, 2, 1)[:, None, None]  # [a, 1, 1, 3, j]
        for group in self._groups:
            same = group.holds(block)[..., None]
            radial = (block.radial[..., group.channels] * same).transpose(0, 2, 1)
            slope = (block.radial_slope[..., group.channels] * same).transpose(0, 2, 1)
            harmonics = block.harmonics[..., group.lm].transpose(0, 2, 1)[:, None]  # [a, 1, m, j]
            gradient = block.gradient[..., group.lm, :].transpose(0, 2, 3, 1)[:, None]
            shape = (atoms, radial.shape[1], harmonics.shape[2], 3, width)
            part = (slope[:, :, None] * harmonics)[:, :, :, None] * unit
            part += radial[:, :, None, None] * gradient
            out[:, group.members] = part.reshape(atoms, shape[1] * shape[2], 3, width)
        return out

    def jacobian(self, block: Block) -> tuple[Ints, Floats]:
        """How A responds to the atoms and to strain.

        Returns:
            The atoms touched, shape (t,), and for every atom of the block dA_v over their x,
            y and z displacements and over the nine strains ε_xx, ε_xy … of r -> r (1 + ε), shape
            (a, A, 3 t + 9).
        """
        slopes = self._slopes(block)
        members = np.concatenate((block.atoms[:, None], block.neighbour), axis=1)
        touched, local = np.unique(members, return_inverse=True)
        local = local.reshape(members.shape)
        columns = np.zeros((*slopes.shape[:2], 3 * len(touched) + 9))
        for i, (centre, *_) in enumerate(local):
            # Images of one neighbour follow each other: sum them, then put each atom in place.
            count = int(block.mask[i].sum())
            if count:
                neighbours = local[i, 1 : count + 1]
                begins = np.flatnonzero(np.diff(neighbours, prepend=-1))
                slope = slopes[i, :, :, :count]
                moved = columns[i, :, :-9].reshape(len(slope), 3, -1)
                each = slope if len(begins) == count else np.add.reduceat(slope, begins, axis=2)
                moved[:, :, neighbours[begins]] = each
                moved[:, :, centre] -= slope.sum(axis=2)
        for k, (x, y) in enumerate(np.ndindex(3, 3)):
            columns[..., k - 9] = np.einsum("aj,avj->av", block.vector[..., x], slopes[:, :, y])
        return touched, columns

    def pullback(self, block: Block, adjoint: Floats) -> Floats:
        """dE_i/dr_j = Σ_v dE/dA_v dA_v/dr_j, shape (a, J, 3)."""
        out = np.zeros(block.vector.shape)
        for group in self._groups:
            same = group.holds(block)
            weight = adjoint[group.members].T.reshape(
                len(block.atoms), len(group.channels), -1
            )  # [a, c, m]
            harmonics = block.harmonics[..., group.lm]  # [a, j, m]
            stretch = (harmonics @ weight.transpose(0, 2, 1)) * block.radial_slope[
                ..., group.channels
            ]
            turn = block.radial[..., group.channels] @ weight  # [a, j, m]
            part = stretch.sum(axis=-1)[..., None] * block.unit
            part += (turn[..., None] * block.gradient[..., group.lm, :]).sum(axis=2)
            out += part * same[..., None]
        return out


@dataclass(frozen=True, eq=False)
class _Group:
    """One-particle functions of one neighbour species, or all (-1), and one l: a range."""

    species: int
    lm: slice
    channels: Ints
    members: slice

    def holds(self, block: Block) -> NDArray[np.bool_]:
        """Which neighbours its sums run over, shape (a, J)."""
        return np.asarray((block.species == self.species) | (self.species < 0))


def _matching_blocks(tables: Tables) -> list[_Group]:
    """The ranges in which A is one matrix product of radials and harmonics."""
    groups = []
    key = tables.a_species.astype(np.int64) * 1000 + tables.a_l
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    for begin, end in zip(starts, [*starts, len(key)][1:], strict=True):
        l = int(tables.a_l[begin])  # noqa: E741
        groups.append(
            _Group(
                int(tables.a_species[begin]),
                slice(l * l, (l + 1) ** 2),
                tables.a_channel[begin : end : 2 * l + 1].astype(np.int64),
                slice(int(begin), int(end)),
            )
        )
    return groups


def interpolate(table: RadialTable, s: int, z: int, r: Floats) -> tuple[Floats, Floats]:
    """Values and slopes of all channels at distances r, shape (len(r), C)."""
    inside = (r >= table.begin[s, z]) & (r < table.end[s, z])
    t = np.where(inside, (r - table.begin[s, z]) / table.spacing[s, z], 0.0)
    bins = int(table.bins[s, z])
    index = np.minimum(t.astype(np.int64), bins - 1)
    knot: Floats | Ints = index
    if table.knots is not None:
        knots = table.knots[s, z, :bins]
        index = np.searchsorted(knots, t, side="right") - 1
        knot = knots[index]
    c = table.coefficients[s, z][index]  # [e, 6, channel]
    u = (t - knot)[:, None]
    value = c[:, 5]
    slope = np.zeros_like(value)
    for k in range(4, -1, -1):
        slope = slope * u + value
        value = value * u + c[:, k]
    keep = inside[:, None]
    return value * keep, slope * keep / table.spacing[s, z]
