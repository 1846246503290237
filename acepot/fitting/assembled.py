"""What is left of the rows of a fit: enough to solve it again, add to it and check its file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.assembly import StructureRows
from acepot.fitting.choice import Choice
from acepot.fitting.consistency import Consistency
from acepot.fitting.learning import Learning
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.partition import Partition
from acepot.fitting.solution import Solution
from acepot.structure import Structure

__all__ = ["Assembled", "Probe"]


@dataclass(frozen=True, eq=False)
class Probe:
    """What the fit itself predicts for one structure: design rows times coefficients.

    Args:
        structure: a training structure.
        quantities: names of the observables, in the order of the rows.
        predicted: all of them in one array, less E0.
    """

    structure: Structure
    quantities: tuple[str, ...]
    predicted: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Assembled:
    """What `Fit.add` and the check after saving need: basis, compressed rows, rows of a few.

    Args:
        choice: recipe and E0 with every default written out.
        basis: its functions, expanded and lowered.
        rows: those of all structures so far and of the restraint, weighted, as a triangle.
        kept: unweighted rows of a few training structures, to compare with the saved model.
        threads: structures handled at once.
        solving: seconds that the solver should take; None: not known.
        virials: how they compare with energies and forces, if that decided whether they are among
            the rows; None: it was stated, or there are none.
        solution: of the rows as they are, where it is known.
        artificial: structures that are fitted beside those of the data.
        learning: how its radial functions were learned; None: they are not.
    """

    choice: Choice
    basis: LoweredBasis
    rows: Partition
    kept: tuple[StructureRows, ...]
    threads: int
    solving: float | None = None
    virials: Consistency | None = None
    solution: Solution | None = None
    artificial: tuple[Structure, ...] = ()
    learning: Learning | None = None
