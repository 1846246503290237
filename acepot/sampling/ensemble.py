"""What is sampled: atoms, pressures and chemical potentials under a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from acepot.errors import InputError
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.prior import Prior

_ELEMENTS = 119


@dataclass(frozen=True, eq=False, init=False)
class Ensemble:
    """Replicas that differ by their pressure, or by their chemical potentials.

    Args:
        numbers: atomic numbers, shape (n,).
        prior: of their configurations.
        pressures: of the replicas in eV/Å³, shape (R,).
        potentials: chemical potentials μ in eV by atomic number, one for all replicas or one for
            each; elements that are not there have none. Only their differences matter.
        masses: in amu by atomic number, for Hamiltonian trajectories; those that are not there are
            1. The distribution of configurations does not depend on them.
        elements: atomic numbers among which each atom's is drawn, all alike (semi-grand); empty:
            those of `numbers` stay.
        kinetic: largest kinetic energy in eV of each replica where momenta are sampled,
            (3/2) P N vmax or (3/2) N kT of the hottest temperature of interest; 0: there are none.

    Raises:
        InputError: no atoms, or arrays of other shapes.
    """

    numbers: Ints
    prior: Prior
    pressures: Floats
    potentials: Floats | None
    masses: Floats
    elements: tuple[int, ...]
    kinetic: Floats

    def __init__(
        self,
        numbers: ArrayLike,
        prior: Prior,
        pressures: ArrayLike = (0.0,),
        potentials: Mapping[int, float | Sequence[float]] | None = None,
        masses: Mapping[int, float] | None = None,
        elements: Sequence[int] = (),
        kinetic: ArrayLike = 0.0,
    ) -> None:
        atoms = np.array(numbers, dtype=np.int64)
        if atoms.ndim != 1 or not len(atoms) or atoms.min() < 1 or atoms.max() >= _ELEMENTS:
            raise InputError(f"numbers: expected atomic numbers 1 to 118, got {atoms.tolist()}")
        pressure = np.array(pressures, dtype=float)
        if pressure.ndim != 1 or not len(pressure) or not np.isfinite(pressure).all():
            raise InputError(f"pressures: expected one or more in eV/Å³, got {pressure.tolist()}")
        species = tuple(sorted(set(elements)))
        if species and not set(atoms.tolist()) <= set(species):
            raise InputError(
                f"elements: expected all of {sorted(set(atoms.tolist()))}, got {list(species)}"
            )
        mu = None
        if potentials:
            mu = np.zeros((len(pressure), _ELEMENTS))
            for number, level in potentials.items():
                mu[:, number] = level
        mass = np.ones(_ELEMENTS)
        for number, one in (masses or {}).items():
            mass[number] = one
        if not (mass > 0).all():
            raise InputError("masses: expected positive numbers in amu")
        most = np.broadcast_to(np.array(kinetic, dtype=float), pressure.shape).copy()
        if not (most >= 0).all() or not np.isfinite(most).all():
            raise InputError(f"kinetic: expected finite energies in eV, got {most.tolist()}")
        given: tuple[tuple[str, object], ...] = (
            ("numbers", atoms), ("prior", prior), ("pressures", pressure), ("potentials", mu),
            ("masses", mass), ("elements", species), ("kinetic", most),
        )  # fmt: skip
        for name, value in given:
            object.__setattr__(self, name, value)

    @property
    def atoms(self) -> int:
        """Number of atoms n."""
        return len(self.numbers)

    @property
    def replicas(self) -> int:
        """Number of replicas R."""
        return len(self.pressures)

    def enthalpy(self, energy: Floats, volumes: Floats, numbers: Ints, replicas: Ints) -> Floats:
        """H = U + P V - Σ_i μ(Z_i) in eV.

        Args:
            energy: U in eV, shape (m,).
            volumes: in Å³, shape (m,).
            numbers: atomic numbers, shape (m, n).
            replicas: whose pressure and potentials, shape (m,).

        Returns:
            Shape (m,).
        """
        return np.asarray(energy + self.added(volumes, numbers, replicas))

    def added(self, volumes: Floats, numbers: Ints, replicas: Ints) -> Floats:
        """What the enthalpy has beside the energy, P V - Σ_i μ(Z_i) in eV.

        Args:
            volumes: in Å³, shape (m,).
            numbers: atomic numbers, shape (m, n).
            replicas: whose pressure and potentials, shape (m,).

        Returns:
            Shape (m,).
        """
        found = self.pressures[replicas] * volumes
        if self.potentials is not None:
            found -= self.potentials[replicas[:, None], numbers].sum(axis=1)
        return np.asarray(found)
