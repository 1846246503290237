"""The properties, a function each: from a crystal to what is found of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from acepot.errors import AceError, ConvergenceError
from acepot.potential import Potential
from acepot.properties.crystals import crystal
from acepot.properties.elasticity import elasticity, moduli
from acepot.properties.equation import SCALES, Volumes, over_volumes
from acepot.properties.expansion import expansion
from acepot.properties.force_constants import Lattice
from acepot.properties.members import Members
from acepot.properties.phonons import Phonons, phonons
from acepot.properties.relaxation import Relaxed, relaxed
from acepot.properties.settings import PropertySettings
from acepot.properties.values import Finding, Value, by_members, deviations
from acepot.structure import Structure
from acepot.units import GIGAPASCAL

__all__ = ["Case", "elastic_step", "expansion_step", "lattice_step", "phonon_step"]

Floats = NDArray[np.float64]
#: Phonons for thermal expansion: at volumes from this part of that of rest upwards.
_SQUEEZED = 0.97
#: K at which numbers are given.
_ROOM = 300.0
#: Elastic constants below this part of the largest are zero, and closer than that are equal.
_ZERO, _EQUAL = 5e-3, 1e-3


@dataclass(eq=False)
class Case:
    """A crystal with all that several steps need, each made when it is first asked for.

    Args:
        name: of the structure, as it was given.
        members: the model and its members.
        settings: of the run.
    """

    name: str
    members: Members
    settings: PropertySettings

    @property
    def potential(self) -> Potential:
        """The model."""
        return self.members.potential

    @cached_property
    def rest(self) -> Relaxed:
        """The crystal at rest, with its cell."""
        found = relaxed(self.potential, crystal(self.name, self.potential), cell="free")
        if not found.is_at_rest:
            raise ConvergenceError(
                f"{self.name}: it does not come to rest: {found.force:.1e} eV/Å are left after "
                f"{found.steps} evaluations; is there such a crystal by this model?"
            )
        return found

    @cached_property
    def rests(self) -> list[Structure | AceError]:
        """The same by every member."""
        return [_tried(partial(self._rest_by, one)) for one in self.members.each]

    def _rest_by(self, potential: Potential) -> Structure:
        found = relaxed(potential, self.rest.structure, cell="free")
        if not found.is_at_rest:
            raise ConvergenceError("a member has no such crystal at rest")
        return found.structure

    @cached_property
    def volumes(self) -> Volumes:
        """Energies at several volumes."""
        return over_volumes(self.potential, self.rest.structure)

    @cached_property
    def lattice(self) -> Lattice:
        """Symmetry of the supercell of phonons."""
        return Lattice(self.rest.structure, self.settings.phonon_atoms)

    @cached_property
    def reservoir(self) -> dict[int, float]:
        """Chemical potentials in eV whose sum over the cell is the energy of the crystal.

        Of several elements each is the mean energy of its atoms in the crystal.
        """
        result = self.potential.compute(self.rest.structure)
        numbers = self.rest.structure.numbers
        return {int(z): float(result.energies[numbers == z].mean()) for z in np.unique(numbers)}

    def by_members(
        self,
        pairs: list[tuple[str, float, str]],
        compute: Callable[[Potential, Structure], list[float]],
    ) -> tuple[list[Value], list[str]]:
        """Values with the errors of members that are at rest on their own."""

        def member(potential: Potential, rest: Structure | AceError) -> list[float]:
            if isinstance(rest, AceError):
                raise rest
            return compute(potential, rest)

        each = [
            partial(member, potential, rest)
            for potential, rest in zip(self.members.each, self.rests, strict=True)
        ]
        values, failed = by_members(pairs, each)
        return values, _failed(failed, len(each), pairs[0][0])


def _failed(failed: int, count: int, what: str) -> list[str]:
    return [f"{what}: {failed} of {count} members could not be computed"] if failed else []


def _tried(make: Callable[[], Structure]) -> Structure | AceError:
    try:
        return make()
    except AceError as error:
        return error


def lattice_step(case: Case) -> Finding:
    """Lattice constants and equation of state."""
    count = len(case.rest.structure)
    names = _lattice_names(case.rest.structure)
    units = ["Å"] * len(names) + ["eV/atom", "Å³/atom", "GPa", ""]

    def numbers(rest: Structure, volumes: Volumes) -> list[float]:
        e = volumes.equation
        lengths = np.linalg.norm(rest.cell, axis=1)
        return [*(float(lengths[i]) for _, i in names), e.energy, e.volume,
                e.modulus / GIGAPASCAL, e.slope]  # fmt: skip

    labels = [*(name for name, _ in names), "E0", "V0", "B", "B'"]
    own = numbers(case.rest.structure, case.volumes)
    pairs = list(zip(labels, own, units, strict=True))
    values, notes = case.by_members(pairs, lambda p, r: numbers(r, over_volumes(p, r)))
    residual = case.volumes.equation.residual * 1e3
    notes.append(
        f"Equation of state: third-order Birch-Murnaghan over {len(SCALES)} volumes of "
        f"{SCALES[0] ** 3:.0%} to {SCALES[-1] ** 3:.0%}, which it misses by {residual:.2g} "
        f"meV/atom; the cell has {count} atoms."
    )
    curves = {"volumes": case.volumes.volumes.tolist(), "energies": case.volumes.energies.tolist()}
    return Finding(tuple(values), tuple(notes), curves)


def _lattice_names(rest: Structure) -> list[tuple[str, int]]:
    """Lengths of the cell that differ."""
    lengths = np.linalg.norm(rest.cell, axis=1)
    kept: list[tuple[str, int]] = []
    for i, name in enumerate("abc"):
        if all(abs(lengths[i] / lengths[j] - 1) > 1e-5 for _, j in kept):
            kept.append((name, i))
    return kept


def elastic_step(case: Case) -> Finding:
    """Elastic constants and moduli."""
    found = elasticity(case.potential, case.rest.structure)
    chosen = _distinct(found.constants)

    def numbers(constants: Floats) -> list[float]:
        m = moduli(constants)
        return [*(float(constants[i, j]) for i, j in chosen), m.bulk, m.shear, m.young, m.poisson,
                m.anisotropy]  # fmt: skip

    names = [f"C{i + 1}{j + 1}" for i, j in chosen]
    names += ["bulk modulus", "shear modulus", "Young's modulus", "Poisson's ratio", "anisotropy"]
    units = ["GPa"] * (len(chosen) + 3) + ["", ""]
    pairs = list(zip(names, numbers(found.constants), units, strict=True))
    values, notes = case.by_members(pairs, lambda p, r: numbers(elasticity(p, r).constants))
    softest = moduli(found.constants).softest
    if softest < 0:
        notes.append(f"Elastic constants: unstable, the softest strain has {softest:.3g} GPa.")
    return Finding(tuple(values), tuple(notes), {"constants": found.constants.tolist()})


def _distinct(constants: Floats) -> list[tuple[int, int]]:
    """Components that are neither zero nor equal to an earlier one of their kind."""
    kept: list[tuple[int, int]] = []
    largest = float(np.abs(constants).max())

    def kind(i: int, j: int) -> tuple[bool, bool, bool]:
        return (i < 3, j < 3, i == j)

    for i in range(6):
        for j in range(i, 6):
            value = float(constants[i, j])
            if abs(value) < _ZERO * largest:
                continue
            if all(
                kind(i, j) != kind(a, b) or abs(value - constants[a, b]) > _EQUAL * largest
                for a, b in kept
            ):
                kept.append((i, j))
    return kept


def phonon_step(case: Case) -> Finding:
    """Bands, density of states and imaginary modes."""
    found = phonons(case.potential, case.rest.structure, case.lattice)
    labels = _different(found)
    marks = [(label, k) for label in labels for k in _levels(found.at(label))]
    pairs = [(f"ν {q} {k + 1}", float(found.at(q)[k]), "THz") for q, k in marks]
    rows: list[Floats] = []

    def member(potential: Potential, rest: Structure) -> list[float]:
        other = phonons(potential, rest, case.lattice, like=found)
        rows.append(np.sort(other.bands.frequencies, axis=1))
        return [float(other.at(q)[k]) for q, k in marks]

    values, notes = case.by_members(pairs, member)
    notes.append(_said(found))
    bands = np.sort(found.bands.frequencies, axis=1)
    curves = {
        "distances": found.bands.distances.tolist(),
        "bands": bands.T.tolist(),
        "labels": [[name, place] for name, place in found.bands.labels],
        "levels": found.levels.tolist(),
        "density": found.density.tolist(),
    }
    if rows:
        spread = deviations(np.array(rows), bands)
        curves["spread"] = spread.T.tolist()
        notes.append(f"Phonons: members differ by up to {spread.max():.2g} THz along the path.")
    return Finding(tuple(values), tuple(notes), curves)


def _different(found: Phonons) -> list[str]:
    """Special points, one of each set of equal frequencies."""
    kept: list[str] = []
    for label, _ in found.bands.labels:
        if all(np.abs(found.at(label) - found.at(other)).max() > 1e-3 for other in kept):
            kept.append(label)
    return kept


def _levels(frequencies: Floats) -> list[int]:
    """Branches that are not those of translations, one of each degenerate set."""
    kept: list[int] = []
    for k, value in enumerate(frequencies):
        if abs(value) < 1e-2 or any(abs(value - frequencies[j]) < 1e-2 for j in kept):
            continue
        kept.append(k)
    return kept


def _said(found: Phonons) -> str:
    cells = "×".join(map(str, found.cells))
    begin = f"Phonons: a supercell of {found.atoms} atoms ({cells} cells); "
    if not found.imaginary:
        return f"{begin}no imaginary modes."
    modes = ", ".join(f"{name} {value:.2f} THz" for name, value in found.imaginary)
    return f"{begin}IMAGINARY modes at {modes}."


def expansion_step(case: Case) -> Finding:
    """Thermal expansion and heat capacity, quasi-harmonic."""
    temperatures = np.linspace(0.0, case.settings.temperature, 41)

    def numbers(potential: Potential, volumes: Volumes) -> list[float]:
        least = _SQUEEZED * volumes.equation.volume
        found = expansion(potential, volumes, case.lattice, temperatures, least)
        at = [
            float(np.interp(_ROOM, temperatures, of))
            for of in (
                found.thermal * 1e6 / 3,
                found.volumes,
                found.moduli / GIGAPASCAL,
                found.heat,
            )
        ]
        return [*at, found.zero_point * 1e3, *(found.thermal * 1e6 / 3), *found.volumes]

    own = numbers(case.potential, case.volumes)
    names = [f"{name} {_ROOM:.0f} K" for name in ("α", "V", "B", "C_V")] + ["zero-point energy"]
    units = ["1e-6/K", "Å³/atom", "GPa", "k_B/atom", "meV/atom"]
    count = len(temperatures)
    names += [""] * (2 * count)
    units += [""] * (2 * count)
    pairs = list(zip(names, own, units, strict=True))
    values, notes = case.by_members(pairs, lambda p, r: numbers(p, over_volumes(p, r)))
    more = values[5:]
    curves = {
        "temperatures": temperatures.tolist(),
        "thermal": [v.value for v in more[:count]],
        "thermal errors": [v.error for v in more[:count]],
        "expanded": [v.value for v in more[count:]],
    }
    notes.append("Thermal expansion α is linear, a third of d ln V/dT, quasi-harmonic.")
    return Finding(tuple(values[:5]), tuple(notes), curves)
