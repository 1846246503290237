"""ACECalculator: an ACE potential as an ASE calculator.

ASE's units are ours (eV, Å). Stress is σ = -W/V in the order xx, yy, zz, yz, xz, xy, positive
under tension. `stresses` are -W_i/V with the volume V of the whole cell, so that, as in ASE's
own calculators, they sum to `stress`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import acepot
from acepot import ChargeModel, Model, Potential, Result, Structure
from acepot.errors import InputError, MissingDependency
from acepot.voigt import to_voigt
from ase_ace.serial import SerialCalculator

try:
    from ase import Atoms
    from ase.calculators import calculator as host
    from ase.outputs import Properties
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error

#: A cell with less than this part of the volume of a box with its edges is flat.
_FLAT = 1e-8
_STRESS = ["stress", "stresses"]


class CalculatorInputError(host.InputError, InputError):
    """Wrong atoms or parameters: at once ASE's InputError and acepot's."""


class ACECalculator(SerialCalculator):
    """Energies, forces and stresses of an ACE model for ASE.

    One evaluation fills every property but `stresses`: per-atom virials cost more than the rest of
    the adapter and are made when asked for. Stress needs a cell with a volume and at least one
    periodic direction (a slab in vacuum will do); elsewhere asking for it raises ASE's
    PropertyNotImplementedError, while energies and forces work.

    With `committee=True`, `results` also holds committee_energies (M,), committee_forces
    (M, n, 3), committee_stress (M, 6, where there is a stress) of the M members, energy_std and
    forces_std (n, 3): their root-mean-square deviations from the model.

    There is no skin: the neighbour list is made anew in every step, which costs a tenth of it, so
    that results do not depend on earlier ones.

    Args:
        model: a model, a potential or the path of a model file.
        committee: also evaluate the model's committee.
        charge: total charge in e, of a model with charges; None: `atoms.info["charge"]`, else 0.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors. A Potential
            has its own.
        precision: double, mixed or single, as for a Potential, which has its own; None: double.
            `potential.precision_loss` is what it costs this model.

    Raises:
        InputError: threads or a precision beside a Potential; a committee asked of a model that
            has none; at each calculation: unknown elements, numbers that are not finite, a
            periodic cell without volume.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", *_STRESS]
    default_parameters = {"committee": False, "charge": None}
    discard_results_on_any_change = True
    ignored_changes = {"initial_charges", "initial_magmoms"}

    def __init__(
        self,
        model: Model | ChargeModel | Potential | str | os.PathLike[str],
        *,
        committee: bool = False,
        charge: float | None = None,
        threads: int | None = None,
        precision: Literal["double", "mixed", "single"] | None = None,
    ) -> None:
        super().__init__()
        path = None
        if isinstance(model, (str, os.PathLike)):
            path = os.fspath(model)
            loaded: Any = acepot.load(model, Model | ChargeModel)
            model = loaded
        for name, value in (("threads", threads), ("precision", precision)):
            if value is not None and isinstance(model, Potential):
                raise CalculatorInputError(
                    f"{name}: expected none beside a Potential, which has its own"
                )
        potential = model
        if isinstance(model, (Model, ChargeModel)):
            potential = Potential(model, threads=threads, precision=precision or "double")
        if not isinstance(potential, Potential):
            kind = type(model).__name__
            raise CalculatorInputError(f"model: expected a Model, Potential or path, got {kind}")
        self.potential = potential
        self._last: tuple[tuple[bytes, bytes, float], Any] | None = None
        self.parameters.update(model=path, digest=self.potential.tables.digest)
        self.set(committee=committee, charge=charge)

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Switch the committee on or off, or change the charge, which discards old results."""
        if unknown := sorted(kwargs.keys() - self.default_parameters.keys()):
            raise CalculatorInputError(
                f"set: expected committee or charge, got {', '.join(unknown)}; "
                "for another model make a new ACECalculator"
            )
        if kwargs.get("charge") and not self._has_charges:
            raise CalculatorInputError("charge: expected None, for this model has no charges")
        if kwargs.get("committee") and self.potential.model.committee is None:
            raise CalculatorInputError("committee: expected False, for this model has no committee")
        return dict(super().set(**kwargs))  # type: ignore[no-untyped-call]

    @property
    def _has_charges(self) -> bool:
        return isinstance(self.potential.model, ChargeModel)

    def _charge(self, atoms: Atoms) -> float:
        """Total charge of atoms in e."""
        if not self._has_charges:
            return 0.0
        given = self.parameters["charge"]
        return float(atoms.info.get("charge", 0.0) if given is None else given)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation, the total charge included."""
        changes = list(super().check_state(atoms, tol))  # type: ignore[no-untyped-call]
        if self.atoms is not None and self._charge(self.atoms) != self._charge(atoms):
            changes.append("charge")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(host.all_changes),
    ) -> None:
        """Fill `results` for these atoms (ASE calls this when something has changed)."""
        self.results = {}
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        if (own := self.atoms) is None:
            raise CalculatorInputError("atoms: expected an Atoms object, got none")
        volume = volume_of(own)
        committee = self.parameters["committee"]
        wanted = [name for name in _STRESS if name in properties]
        try:
            if committee or "stresses" in wanted or (wanted and volume is None):
                structure = Structure(
                    own.numbers, own.positions, own.cell.array, own.pbc, charge=self._charge(own)
                )
                if "stresses" in wanted and self._has_charges:
                    raise host.PropertyNotImplementedError(
                        "stresses: the virial of charges belongs to no atom; ask for stress"
                    )
                if wanted and volume is None:
                    raise host.PropertyNotImplementedError(
                        f"{wanted[0]}: expected a cell with a volume and a periodic direction, "
                        f"got pbc {structure.pbc.tolist()} and cell {structure.cell.tolist()}"
                    )
                result = self.potential.compute(structure, committee=committee)
                self.results = _results(result, volume)
            else:
                totals = self._bound(own).compute(own.positions, own.cell.array)
                self.results = _main_results(totals.energies, totals.forces, totals.virial, volume)
        except InputError as error:
            raise CalculatorInputError(str(error)) from error

    def _bound(self, atoms: Atoms) -> Any:
        """The potential bound to these elements and periodic directions, kept while they stay."""
        charge = self._charge(atoms)
        key = (atoms.numbers.tobytes(), atoms.pbc.tobytes(), charge)
        if self._last is None or self._last[0] != key:
            self._last = (key, self.potential.bind(atoms.numbers, atoms.pbc, charge))
        return self._last[1]

    def export_properties(self) -> Properties:
        """Wrap the results that ASE has names for."""
        known = self.results.keys() & set(self.implemented_properties)
        return Properties({name: self.results[name] for name in known})

    def _get_name(self) -> str:
        return "acepot"


def volume_of(atoms: Atoms) -> float | None:
    """Volume of the cell in Å³; None if there is no stress. In plain numbers: it is much faster."""
    if not atoms.pbc.any():
        return None
    a, b, c = atoms.cell.array.tolist()
    volume = abs(
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
    return volume if volume > _FLAT * math.hypot(*a) * math.hypot(*b) * math.hypot(*c) else None


def _main_results(
    energies: NDArray[np.float64],
    forces: NDArray[np.float64],
    virial: NDArray[np.float64],
    volume: float | None,
) -> dict[str, Any]:
    """What every evaluation gives, under ASE's names; no stress without a volume."""
    energy = float(energies.sum())
    out: dict[str, Any] = {"energy": energy, "free_energy": energy}
    out["energies"], out["forces"] = energies, forces
    if volume is not None:
        out["stress"] = _stress(virial, volume)
    return out


def _results(result: Result, volume: float | None) -> dict[str, Any]:
    """Everything a result holds."""
    out = _main_results(result.energies, result.forces, result.virial, volume)
    if volume is not None:
        out["stresses"] = _stress(result.virials, volume)
    if (members := result.committee) is not None:
        out["committee_energies"], out["committee_forces"] = members.energies, members.forces
        out["energy_std"] = float(np.sqrt(np.mean((members.energies - result.energy) ** 2)))
        out["forces_std"] = np.sqrt(np.mean((members.forces - result.forces) ** 2, axis=0))
        if volume is not None:
            out["committee_stress"] = _stress(members.virials, volume)
    return out


def _stress(virial: NDArray[np.float64], volume: float) -> NDArray[np.float64]:
    """-W/V, shape (..., 3, 3) -> (..., 6); W is symmetric, but for rounding."""
    symmetric = 0.5 * (virial + np.swapaxes(virial, -1, -2))
    return np.asarray(-to_voigt(symmetric) / volume)
