"""Six components of a symmetric 3x3 tensor, in Voigt's order: xx yy zz yz xz xy.

The components are the tensor's own: none is doubled, as engineers do with shear strains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["COMPONENTS", "INDEX", "from_voigt", "to_voigt"]

#: Rows and columns of the six: tensor[INDEX] are they, where the tensor's axes come first.
INDEX = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))
#: Their names.
COMPONENTS = tuple("xyz"[row] + "xyz"[column] for row, column in zip(*INDEX, strict=True))
#: Which of the six each of the 3x3 components is.
_PLACE = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


def to_voigt(tensor: ArrayLike) -> NDArray[np.float64]:
    """The six components of a tensor, shape (..., 3, 3) -> (..., 6); what is above its diagonal."""
    return np.asarray(np.asarray(tensor, dtype=float)[..., *INDEX])


def from_voigt(six: ArrayLike) -> NDArray[np.float64]:
    """The symmetric tensor of six components, shape (..., 6) -> (..., 3, 3)."""
    return np.asarray(np.asarray(six, dtype=float)[..., _PLACE])
