"""Atoms whose surroundings are like none in the data, bonds that are pulled apart included.

The functions of an atom whose neighbours leave go to zero, and so does γ = max_k |B A⁻¹|_k: a
stretched bond looks familiar. Here direction and length are judged apart, in functions that are
scaled by their root mean squares: γ of B/|B| by an active set of such directions, and how many
times |B| is below the least or above the largest of the data. The larger of the two is the grade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.structure import Structure
from acepot.uncertainty.extrapolation import SiteFunctions
from acepot.uncertainty.maxvol import active_inverse

__all__ = ["LIMIT", "Directions", "Surroundings"]

Floats = NDArray[np.float64]
#: A grade above this is strange. Dimers of Si, Cu, C, H, O, Mo, Nb, Ta and W at and beyond the
#: bond length, with data of solids and molecules, have 5 or more, and gamma alone down to 0;
#: of 120 test frames of these data nine in ten stay below 2.4.
LIMIT = 4.0
#: Columns with a root mean square below this part of the largest count as zero.
_ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Directions:
    """What the atoms of one element have in the data.

    Args:
        scale: root mean square of each function, shape (K,).
        inverse: A⁻¹ of the active directions, shape (K, K).
        least: smallest length above 0 of scaled functions.
        largest: largest length.
        alone: whether the data have an atom without neighbours.
    """

    scale: Floats
    inverse: Floats
    least: float
    largest: float
    alone: bool

    @classmethod
    def of(cls, rows: Floats, tolerance: float) -> Directions | None:
        """Those of the functions of all atoms of an element; None if all of them are alone."""
        scale = np.sqrt(np.mean(rows**2, axis=0))
        if not scale.any():
            return None
        scale[scale < _ZERO * scale.max()] = scale.max()
        lengths = np.linalg.norm(rows / scale, axis=1)
        near = lengths > 0
        directions = rows[near] / scale / lengths[near, None]
        found = lengths[near]
        inverse = active_inverse(directions, tolerance)
        return cls(scale, inverse, float(found.min()), float(found.max()), not near.all())

    def grades(self, rows: Floats) -> Floats:
        """Of atoms with these functions, shape (n, K) -> (n,)."""
        scaled = rows / self.scale
        lengths = np.linalg.norm(scaled, axis=1)
        near = lengths > 0
        out = np.full(len(rows), 0.0 if self.alone else np.inf)
        directions = scaled[near] / lengths[near, None]
        turned = np.abs(directions @ self.inverse).max(axis=1, initial=0.0)
        beyond = np.maximum(self.least / lengths[near], lengths[near] / self.largest)
        out[near] = np.maximum(turned, beyond)
        return out


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is familiar from data, by element.

    Args:
        functions: of the model.
        directions: by chemical symbol; None where all atoms of the element are alone.
    """

    functions: SiteFunctions
    directions: Mapping[str, Directions | None]

    @classmethod
    def of(
        cls, functions: SiteFunctions, structures: Sequence[Structure], tolerance: float = 1.01
    ) -> Surroundings:
        """What the atoms of data have.

        Args:
            functions: of the model.
            structures: the data.
            tolerance: largest grade of a direction of the data in the end, above 1.

        Raises:
            InputError: no structures, or one that cannot be evaluated.
            ConvergenceError: MaxVol did not end.
        """
        if not structures:
            raise InputError("structures: expected at least one, got none")
        rows = functions.gathered(structures)
        return cls(functions, {s: Directions.of(own, tolerance) for s, own in rows.items()})

    def grades(self, structures: Sequence[Structure]) -> list[Floats]:
        """How strange each atom is: 1 or less like the data, `LIMIT` or more like none of them.

        Args:
            structures: atoms and cells.

        Returns:
            One array of shape (n,) a structure; infinite for an atom without neighbours where the
            data have none, and for an element that they do not have.

        Raises:
            InputError: a structure that cannot be evaluated.
        """
        found = []
        for structure, own in zip(structures, self.functions.values(structures), strict=True):
            grades = np.full(len(structure), np.inf)
            for symbol, (atoms, rows) in own.items():
                if symbol not in self.directions:
                    continue
                known = self.directions[symbol]
                alone = np.where(rows.any(axis=1), np.inf, 0.0)
                grades[atoms] = alone if known is None else known.grades(rows)
            found.append(grades)
        return found
