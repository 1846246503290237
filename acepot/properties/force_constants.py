"""Force constants of a supercell by phonopy, for crystals that differ little from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.errors import MissingDependency
from acepot.potential import Potential
from acepot.properties.crystals import supercell
from acepot.structure import Structure

if TYPE_CHECKING:
    from phonopy import Phonopy

__all__ = ["Lattice", "require_phonopy"]

Floats = NDArray[np.float64]
#: Displacement in Å, and distance of the mesh of the Brillouin zone, as phonopy counts (Å).
STEP, MESH = 0.01, 40.0


def require_phonopy() -> None:
    """Say at once that phonons cannot be computed.

    Raises:
        MissingDependency: phonopy or seekpath is not installed.
    """
    try:
        import phonopy  # noqa: F401
        import seekpath  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            "phonons need phonopy and seekpath: pip install acepot[phonons], or leave them out "
            "with --skip phonons expansion"
        ) from error


class Lattice:
    """Symmetry and displacements of a supercell, found once.

    Frequencies at a point in units of the reciprocal cell depend on the cell through the force
    constants alone, so that strained crystals of the same symmetry share all else.

    Args:
        rest: a crystal at rest.
        atoms: of the supercell, so many or more.

    Attributes:
        phonopy: with the force constants that were computed last.
        cells: how often the cell was repeated.
        atoms: of the supercell.

    Raises:
        MissingDependency: phonopy or seekpath is not installed.
    """

    def __init__(self, rest: Structure, atoms: int) -> None:
        require_phonopy()
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
        from phonopy.structure.cells import guess_primitive_matrix

        unit = PhonopyAtoms(
            symbols=[SYMBOLS[z] for z in rest.numbers], cell=rest.cell, positions=rest.positions
        )
        self.cells = supercell(rest, atoms)
        primitive = guess_primitive_matrix(unit)
        self.phonopy: Phonopy = Phonopy(unit, np.diag(self.cells), primitive, log_level=0)
        self.phonopy.generate_displacements(distance=STEP, is_plusminus=True)
        whole = self.phonopy.supercell
        self.atoms = len(whole)
        self._unit = np.array([whole.u2u_map[i] for i in whole.s2u_map])
        own = np.linalg.solve(rest.cell.T, rest.positions.T).T
        places = np.asarray(whole.scaled_positions) * np.array(self.cells)
        self._shifts = np.rint(places - own[self._unit])

    def compute(self, potential: Potential, crystal: Structure) -> float:
        """Force constants of this crystal or of one strained a little, into `phonopy`.

        Args:
            potential: the model.
            crystal: at rest, with its atoms in the same order.

        Returns:
            The largest sum of them over the atoms before that is made zero, in eV/Å².
        """
        cell = crystal.cell * np.array(self.cells)[:, None]
        perfect = self._shifts @ crystal.cell + crystal.positions[self._unit]
        numbers = crystal.numbers[self._unit]
        moved = []
        for atom, step in self._displacements():
            positions = perfect.copy()
            positions[atom] += step
            moved.append(Structure(numbers, positions, cell, True))
        forces = [one.forces for one in potential.compute_all(moved)]
        self.phonopy.forces = np.array(forces)
        self.phonopy.produce_force_constants(show_drift=False)
        drift = float(np.abs(np.asarray(self.phonopy.force_constants).sum(axis=1)).max())
        self.phonopy.symmetrize_force_constants(show_drift=False)
        return drift

    def _displacements(self) -> Sequence[tuple[int, Floats]]:
        table: Any = self.phonopy.dataset
        return [(int(d["number"]), np.asarray(d["displacement"])) for d in table["first_atoms"]]

    def mesh(self) -> tuple[Floats, Floats, Floats]:
        """Points, weights and frequencies (THz) of a mesh, by the force constants that are there.

        Returns:
            Shapes (q, 3), (q,) and (q, branches); the weights add up to one.
        """
        self.phonopy.run_mesh(MESH)
        found: Any = self.phonopy.mesh
        weights = np.asarray(found.weights, dtype=float)
        return np.asarray(found.qpoints), weights / weights.sum(), np.asarray(found.frequencies)
