"""Blocks of Σ from outputs of bonds and sites: where they stand, and what they look like.

A vector with components M = -1, 0, 1 is (y, z, x); a matrix is Σ_L T^{11L} h^L, rows and columns
in the same order. Everything here is linear in the outputs: the same code makes Σ from outputs, its
derivative from their derivatives, and the rows of a fit from the functions themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.basis.irrep import Irrep
from acepot.evaluate.blocks import block
from acepot.evaluate.bonds import Bonds
from acepot.evaluate.protocol import Floats, Ints
from acepot.friction.sigma import Factor
from acepot.model import FrictionPart

__all__ = ["Blocks", "cartesian", "placed", "two_sided"]

#: Where x, y, z stand among M = -1, 0, 1.
_XYZ = [2, 0, 1]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of Σ for several outputs at once.

    Args:
        rows: atom each acts on, ascending, shape (B,).
        columns: its source of noise, shape (B,).
        values: shape (B, outputs, 3, w), w = 1 for vectors and 3 for matrices.
        sources: how many sources there are.
    """

    rows: Ints
    columns: Ints
    values: Floats
    sources: int

    def factor(self, part: FrictionPart, atoms: int) -> Factor:
        """Σ, every output with noise of its own."""
        blocks, outputs, _, width = self.values.shape
        values = self.values.transpose(0, 2, 1, 3).reshape(blocks, 3, outputs * width)
        values = np.ascontiguousarray(values)
        is_bond = part.coupling == "pair-wise"
        return Factor(self.rows, self.columns, values, atoms, self.sources, is_bond)


def cartesian(irreps: Sequence[Irrep], values: Sequence[Floats]) -> Floats:
    """Outputs in components M as columns x, y, z.

    Args:
        irreps: 1o alone, or of 0e, 1e, 2e.
        values: of each, shape (n, outputs, 2L + 1), the same number of outputs.

    Returns:
        Vectors, shape (n, outputs, 3, 1); or matrices, shape (n, outputs, 3, 3).
    """
    if irreps[0].parity < 0:
        return np.take(values[0], _XYZ, axis=-1)[..., None]
    matrix = block([(i.l, v) for i, v in zip(irreps, values, strict=True)], 1, 1)
    return matrix[..., _XYZ, :][..., _XYZ]


def two_sided(part: FrictionPart, bonds: Bonds, there: Floats, back: Floats | None) -> Floats:
    """y_ij = there_ij + back_ji, or there_ij - there_ji, of every directed bond.

    Args:
        part: the coupling.
        bonds: of the structure.
        there: shape (E, outputs, 3, w).
        back: likewise; None: where one set of outputs serves both ends.
    """
    if back is None:
        return there - np.take(there, bonds.reverse, axis=0)
    return there + np.take(back, bonds.reverse, axis=0)


def placed(
    part: FrictionPart, acts: Ints, bonds: Bonds | None, y: Floats | None, own: Floats | None
) -> Blocks:
    """Blocks of Σ where they belong.

    Args:
        part: the coupling.
        acts: whether an atom feels friction, shape (N,).
        bonds: of the structure; None: on-site.
        y: blocks of its directed bonds, shape (E, outputs, 3, w).
        own: blocks of its sites, shape (N, outputs, 3, w); None: none of their own.
    """
    felt = np.asarray(acts, dtype=bool)
    atoms = np.flatnonzero(felt)
    if bonds is None or y is None:
        values = np.zeros((0, 0, 3, 1)) if own is None else own[atoms]
        return Blocks(atoms, atoms, values, len(felt))
    kept = felt[bonds.centre]
    if part.momentum == "conserved":  # no force without a counter-force
        kept = kept & felt[bonds.neighbour]
    if part.coupling == "pair-wise":
        once = np.arange(len(bonds.centre)) < bonds.reverse
        source = np.cumsum(once) - 1
        source = np.where(once, source, source[bonds.reverse])
        chosen = np.flatnonzero(kept)
        return Blocks(bonds.centre[chosen], source[chosen], y[chosen], int(once.sum()))
    chosen = np.flatnonzero(kept)
    if own is None:
        own = np.zeros((len(felt), *y.shape[1:]))
        np.subtract.at(own, bonds.neighbour[chosen], y[chosen])
    rows = np.concatenate((bonds.centre[chosen], atoms))
    order = np.argsort(rows, kind="stable")
    columns = np.concatenate((bonds.neighbour[chosen], atoms))
    values = np.concatenate((y[chosen], own[atoms]))
    return Blocks(rows[order], columns[order], values[order], len(felt))
