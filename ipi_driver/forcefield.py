"""ForceField: acepot's numbers in i-PI's units, layout and extras.

i-PI works in atomic units and keeps lattice vectors as columns. Its virial is -dE/dh hᵀ,
positive where atoms repel: the transpose of acepot's W = -∂E/∂ε.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

import acepot
from acepot import ChargeModel, Model, Potential, Result, Structure
from acepot.errors import InputError
from acepot.uncertainty.biased import BiasedPotential
from acepot.units import IPI
from ipi_driver.numerals import as_json
from ipi_driver.template import Template, read_template

Floats = NDArray[np.float64]
Precision = Literal["double", "mixed", "single"]


class Evaluates(Protocol):
    """What is needed of a Potential."""

    def compute_all(
        self, structures: Sequence[Structure], *, committee: bool = False
    ) -> list[Result]:
        """Results of several structures."""
        ...


@dataclass(frozen=True, eq=False)
class Answer:
    """What i-PI is told about one structure.

    Args:
        energy: in Hartree.
        forces: in Hartree/Bohr, shape (n, 3).
        virial: in Hartree, shape (3, 3).
        extras: JSON, or an empty text.
    """

    energy: float
    forces: Floats
    virial: Floats
    extras: str


class ForceField:
    """Evaluates what i-PI sends.

    Args:
        potential: what evaluates.
        template: the atoms of this run.
        energies: put the energies of the atoms into the extras: `energies` (n,), Hartree.
        committee: put the members' predictions into the extras, under the keys and in the
            layout of i-PI's ffcommittee: `committee_pot` (M,), `committee_force` (M, 3n),
            `committee_virial` (M, 9), atomic units. Its potential is then their mean.
        charge: total charge in e, of a model with charges.
    """

    def __init__(
        self,
        potential: Evaluates,
        template: Template,
        *,
        energies: bool = False,
        committee: bool = False,
        charge: float = 0.0,
    ) -> None:
        self.template = template
        self._potential = potential
        self._energies, self._committee, self._charge = energies, committee, charge

    def compute(self, cells: Sequence[Floats], positions: Sequence[Floats]) -> list[Answer]:
        """Energies, forces and virials of several structures, in one call of the evaluator.

        Args:
            cells: lattice vectors as columns in Bohr, (3, 3) each.
            positions: in Bohr, (n, 3) each.

        Raises:
            InputError: another number of atoms than the template's, numbers that are not
                finite, a cell without volume, atoms too close for the model.
        """
        structures = [self._structure(*one) for one in zip(cells, positions, strict=True)]
        results = self._potential.compute_all(structures, committee=self._committee)
        return [self._answer(result) for result in results]

    def _structure(self, cell: Floats, positions: Floats) -> Structure:
        self.template.check_count(len(positions))
        with np.errstate(invalid="ignore"):  # Structure refuses what is not a number
            places, rows = positions * IPI.length, cell.T * IPI.length
        return Structure(
            self.template.structure.numbers,
            places,
            rows,
            self.template.pbc,
            name="structure from i-PI",
            charge=self._charge,
        )

    def _answer(self, result: Result) -> Answer:
        forces, virial = result.forces / IPI.force, result.virial.T / IPI.energy
        energy = result.energy / IPI.energy
        if not (np.isfinite(forces).all() and np.isfinite(virial).all() and np.isfinite(energy)):
            raise InputError(
                "the model gives an energy, forces or a virial that are not finite: "
                "are atoms far closer than in its training data?"
            )
        return Answer(energy, forces, virial, self._extras(result))

    def _extras(self, result: Result) -> str:
        out: dict[str, Floats] = {}
        if self._energies:
            out["energies"] = result.energies / IPI.energy
        if (members := result.committee) is not None:
            count = len(members.energies)
            virials = np.swapaxes(members.virials, -1, -2)
            out["committee_pot"] = members.energies / IPI.energy
            out["committee_force"] = (members.forces / IPI.force).reshape(count, -1)
            out["committee_virial"] = (virials / IPI.energy).reshape(count, 9)
        if not all(np.isfinite(values).all() for values in out.values()):
            raise InputError("the model gives energies of atoms or a committee that are not finite")
        parts = (f'"{key}": {as_json(values)}' for key, values in out.items())
        return f"{{{', '.join(parts)}}}" if out else ""


def open_forcefield(
    model: str | os.PathLike[str],
    template: str | os.PathLike[str],
    *,
    pbc: str | None = None,
    energies: bool = False,
    committee: bool = False,
    threads: int | None = None,
    precision: Precision = "double",
    posterior: str | os.PathLike[str] | None = None,
    tau: float = 0.0,
    charge: float = 0.0,
) -> ForceField:
    """A forcefield from the files of a model and a template.

    Args:
        model: a model file.
        template: a file with one structure of the run.
        pbc: periodic directions as three letters such as TTF; None: as the template says.
        energies: as for `ForceField`.
        committee: as for `ForceField`.
        threads: of the evaluator; None: OMP_NUM_THREADS, else all processors.
        precision: double, mixed or single, as for `acepot.Potential`.
        posterior: file of the model's posterior, for the energy E - τσ in place of E.
        tau: τ; only with a posterior.
        charge: total charge in e, of a model with charges.

    Raises:
        InputError: a template that does not suit, a committee asked of a model without, or options
            that a bias does not have.
        ModelFileError: not a model file, a damaged one or one of a later version.
    """
    loaded: Any = acepot.load(model, Model | ChargeModel)
    if charge and not isinstance(loaded, ChargeModel):
        raise InputError(f"charge: {os.fspath(model)} has no charges, expected 0, got {charge:g}")
    if committee and loaded.committee is None:
        raise InputError(
            f"committee: {os.fspath(model)} has none; fit it again with committee.size in its TOML"
        )
    chosen = read_template(template, loaded, pbc)
    if posterior is not None:
        if energies or committee or precision != "double":
            raise InputError(
                "posterior: expected no energies of atoms, committee or precision beside a bias"
            )
        biased = BiasedPotential(loaded, posterior, tau, threads)
        return ForceField(biased, chosen)
    if tau != 0.0:
        raise InputError(f"tau: expected a posterior beside it, got {tau:g} alone")
    potential = Potential(loaded, threads=threads, precision=precision)
    return ForceField(potential, chosen, energies=energies, committee=committee, charge=charge)
