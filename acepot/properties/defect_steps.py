"""Surfaces and point defects: geometries of the model, errors by its members to first order.

By the theorem of Hellmann and Feynman the energy of a structure at rest changes with the
coefficients as the energy of the same structure that stays, δE = δc · ∂E/∂c + O(δc²): members need
no relaxation of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.errors import AceError
from acepot.properties.point_defects import Defect, at_rest, interstitials, vacancies
from acepot.properties.settings import miller
from acepot.properties.steps import Case
from acepot.properties.surfaces import surface
from acepot.properties.values import FIRST_ORDER, Finding, Value, deviations
from acepot.structure import Structure

__all__ = ["interstitial_step", "surface_step", "vacancy_step"]

Floats = NDArray[np.float64]


def _error(case: Case, structure: Structure, energy: float, area: float = 1.0) -> Value:
    """The value of an excess energy over area with its error; its name is left open."""
    members = case.members.energies(structure)
    error = None
    if len(members):
        shares = _shares(case)
        bulk = sum(shares[int(z)] for z in structure.numbers.tolist())
        own = case.potential.compute(structure).energy
        own -= sum(case.reservoir[int(z)] for z in structure.numbers.tolist())
        error = float(deviations((members - bulk)[:, None], np.array([own]))[0]) / area
    return Value("", energy / area, "eV", error, FIRST_ORDER if error is not None else "")


def _shares(case: Case) -> dict[int, Floats]:
    """Chemical potentials by every member, at the model's crystal."""
    structure = case.rest.structure
    total = case.members.energies(structure)
    own = case.potential.compute(structure).energy
    return {z: mu + (total - own) / len(structure) for z, mu in case.reservoir.items()}


def surface_step(case: Case) -> Finding:
    """Surfaces as cut and at rest."""
    values: list[Value] = []
    notes: list[str] = []
    for text in case.settings.surfaces:
        try:
            found = surface(case.potential, case.rest.structure, case.rest.energy, miller(text))
        except AceError as error:
            notes.append(f"Surface {text}: not computed: {error}")
            continue
        whole = 2 * found.area
        one = _error(case, found.relaxed.structure, found.energy * whole, whole)
        values.append(Value(f"surface {text}", one.value, "eV/Å²", one.error, one.how))
        values.append(Value(f"surface {text} as cut", found.unrelaxed, "eV/Å²"))
        notes.append(
            f"Surface {text}: a slab of {len(found.relaxed.structure)} atoms, not reconstructed"
            + ("." if found.relaxed.is_at_rest else ", NOT at rest.")
        )
    return Finding(tuple(values), tuple(notes))


def vacancy_step(case: Case) -> Finding:
    """Vacancies in cells of all sizes."""
    return _defects(case, vacancies(case.potential, case.rest.structure))


def interstitial_step(case: Case) -> Finding:
    """Interstitials in cells of all sizes."""
    return _defects(case, interstitials(case.rest.structure, case.potential))


def _defects(case: Case, defects: list[Defect]) -> Finding:
    values: list[Value] = []
    notes: list[str] = []
    for defect in defects:
        for atoms in case.settings.atoms:
            try:
                found = at_rest(case.potential, case.rest.structure, defect, atoms, case.reservoir)
            except AceError as error:
                notes.append(f"{defect.name}, {atoms} atoms: not computed: {error}")
                continue
            one = _error(case, found.relaxed.structure, found.energy)
            name = f"{defect.name} ({found.atoms})"
            values.append(Value(name, one.value, "eV", one.error, one.how))
            if found.energy < 0:
                notes.append(
                    f"{name}: NEGATIVE: the crystal is not the ground state, or the model has a "
                    "hole where there were no data; see acepot check --holes."
                )
            if not found.relaxed.is_at_rest:
                notes.append(f"{name}: NOT at rest, {found.relaxed.force:.1e} eV/Å are left.")
    return Finding(tuple(values), tuple(notes))
