"""Matrix blocks of two shells, and their irreducible parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.basis.coupling import real_clebsch_gordan
from acepot.evaluate.protocol import Floats


def block(parts: Sequence[tuple[int, Floats]], l1: int, l2: int) -> Floats:
    """Matrix blocks from their irreducible parts, H[m1, m2] = Σ_L Σ_M T[m1, m2, M] h^L_M.

    Args:
        parts: (L, h^L) with h^L of shape (…, 2L + 1), for L from |l1 - l2| to l1 + l2.
        l1: angular momentum of the rows.
        l2: angular momentum of the columns.

    Returns:
        Shape (…, 2 l1 + 1, 2 l2 + 1).
    """
    made = [
        np.einsum("...M,xyM->...xy", h, real_clebsch_gordan(l1, l2, total)) for total, h in parts
    ]
    return np.asarray(np.sum(made, axis=0))


def irreducible(block: Floats, l1: int, l2: int, total: int) -> Floats:
    """The part h^L_M = Σ T[m1, m2, M] H[m1, m2] of matrix blocks.

    Args:
        block: shape (…, 2 l1 + 1, 2 l2 + 1).
        l1: angular momentum of the rows.
        l2: angular momentum of the columns.
        total: L.

    Returns:
        Shape (…, 2L + 1).
    """
    return np.asarray(np.einsum("...xy,xyM->...M", block, real_clebsch_gordan(l1, l2, total)))
