"""A committee's spread in a form that ASE's writers keep."""

from __future__ import annotations

import numpy as np

from acepot.errors import InputError, MissingDependency

try:
    from ase import Atoms
    from ase.calculators.calculator import all_properties
    from ase.calculators.singlepoint import SinglePointCalculator
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error

#: Results of one number or one list for the whole structure.
_TOTALS = ("energy_std", "committee_energies")


def with_spread(atoms: Atoms) -> Atoms:
    """A copy of atoms that holds the committee's spread beside energy, forces and stress.

    `ase.io.write` writes only those results of a calculator that ASE has names for.

    Args:
        atoms: their calculator is an `ACECalculator(..., committee=True)`; it evaluates them unless
            it has done so.

    Returns:
        info holds energy_std (eV) and committee_energies (M,), arrays holds forces_std (n, 3)
        (eV/Å), the calculator all that ASE has names for. Extended XYZ keeps all of them, ASE's
        .traj those in info.

    Raises:
        InputError: a calculator without committee.
    """
    if atoms.calc is None or not atoms.calc.parameters.get("committee"):
        raise InputError(
            "atoms: expected an ACECalculator(..., committee=True) as their calculator"
        )
    atoms.get_potential_energy()  # type: ignore[no-untyped-call]
    results = atoms.calc.results
    frame: Atoms = atoms.copy()  # type: ignore[no-untyped-call]
    frame.info.update({name: results[name] for name in _TOTALS})
    frame.arrays["forces_std"] = np.array(results["forces_std"])
    known = {name: results[name] for name in all_properties if name in results}
    frame.calc = SinglePointCalculator(frame, **known)  # type: ignore[no-untyped-call]
    return frame
