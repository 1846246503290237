"""Phonons of silicon by phonopy and acepot, against plain differences of the calculator."""

from __future__ import annotations

import numpy as np
import pytest

import acepot
from acepot import shelf

phonopy = pytest.importorskip("phonopy")
pytest.importorskip("ase")

#: Waves that repeat within three cells: what is nearest to what does not matter to them.
WAVES = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1], [1, 2, 3], [2, 1, 0]]) / 3
_A = 5.469
_CELL = _A / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
_FRACTIONS = np.array([[0.0, 0.0, 0.0], [0.25, 0.25, 0.25]])
#: √(eV/(Å² amu)) as a frequency in THz.
_THZ = 15.633302


def by_phonopy() -> np.ndarray:
    """Frequencies in THz, shape (waves, 6), from displacements that symmetry asks for."""
    from phonopy.structure.atoms import PhonopyAtoms

    potential = acepot.Potential(acepot.load(shelf.path("Si")))
    cell = PhonopyAtoms(symbols=["Si", "Si"], cell=_CELL, scaled_positions=_FRACTIONS)
    phonons = phonopy.Phonopy(cell, np.diag([3, 3, 3]), primitive_matrix=np.eye(3))
    phonons.generate_displacements(distance=0.005)
    moved = [
        acepot.Structure(one.numbers, one.positions, one.cell, True)
        for one in phonons.supercells_with_displacements
    ]
    assert len(moved) == 1  # one displacement tells all others
    phonons.forces = [one.forces for one in potential.compute_all(moved)]
    phonons.produce_force_constants()
    phonons.run_qpoints(WAVES)
    return np.asarray(phonons.qpoints.frequencies)


def by_differences() -> np.ndarray:
    """The same from the forces of the calculator when one atom is pushed to and fro."""
    from ase import Atoms
    from ase.data import atomic_masses

    from ase_ace import ACECalculator

    shifts = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)])
    places = (_FRACTIONS[:, None] + shifts).reshape(-1, 3) @ _CELL  # [atom of the cell, cell]
    atoms = Atoms("Si54", places, cell=3 * _CELL, pbc=True)
    atoms.calc = ACECalculator(shelf.path("Si"))
    constants = np.zeros((2, 3, 2, 27, 3))
    for atom in range(2):
        for axis in range(3):
            for sign in (1, -1):
                atoms.positions[27 * atom, axis] += 0.005 * sign
                forces = atoms.get_forces().reshape(2, 27, 3)
                constants[atom, axis] -= sign * forces / 0.01
                atoms.positions[27 * atom, axis] -= 0.005 * sign
    found = []
    for wave in WAVES:
        phases = np.exp(2j * np.pi * shifts @ wave)
        matrix = np.einsum("axbcy,c->axby", constants, phases).reshape(6, 6) / atomic_masses[14]
        squares = np.linalg.eigvalsh((matrix + matrix.conj().T) / 2)
        found.append(np.sign(squares) * np.sqrt(np.abs(squares)) * _THZ)
    return np.array(found)


def test_phonons_of_silicon() -> None:
    mine, plain = by_phonopy(), by_differences()
    assert mine[0, :3] == pytest.approx(0.0, abs=0.05)  # sound
    assert 14.0 < mine[0, 5] < 17.0  # measured: 15.5
    np.testing.assert_allclose(mine[1:], plain[1:], atol=0.02)
    np.testing.assert_allclose(mine[0, 3:], plain[0, 3:], atol=0.02)
