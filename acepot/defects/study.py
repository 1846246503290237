"""The steps of a study: reference cells, training sets, fits, and models tried in a large cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.defects.cells import DefectCell, defect_cell, shortest
from acepot.defects.reference import Kept
from acepot.defects.settings import DefectSettings
from acepot.errors import AceError, ConvergenceError, InputError
from acepot.evaluate.protocol import Result
from acepot.fitting.fit import fit
from acepot.fitting.fitted import Fit
from acepot.fitting.observables import Observable
from acepot.fitting.observables.formation_energy import perfect_label
from acepot.potential import Potential
from acepot.properties.crystals import crystal, repeated
from acepot.properties.relaxation import relaxed
from acepot.structure import Structure
from acepot.units import GIGAPASCAL

__all__ = ["STABILITY", "Outcome", "Relaxation", "Study", "Trial", "Variant", "variants"]

Floats = NDArray[np.float64]
#: Of the shortest distance: how far an atom may be from where the reference has it.
_BASIN = 0.2
#: Å²/eV: geometry errors are so many times ‖∇E_ML(u_ref)‖, where it is not measured.
STABILITY = 0.3


@dataclass(frozen=True)
class Variant:
    """How a model is trained.

    Args:
        size: L, of the training cells.
        rattles: how many displaced copies there are.
        constants: weight of force constants.
    """

    size: int
    rattles: int
    constants: float

    def __str__(self) -> str:
        more = f", force constants {self.constants:g}" if self.constants else ""
        return f"L = {self.size}, {self.rattles} rattles{more}"


@dataclass(frozen=True)
class Trial:
    """A model on one defect in the large cell.

    Args:
        defect: its name.
        gradient: ‖∇E_ML(u_ref)‖, the forces on the reference's geometry, eV/Å.
        geometry: ‖D(u - u_ML)‖ in Å; None: the model did not stay in the basin.
        beyond: the same of bonds that begin beyond half the training cell.
        inside: of the gradient, atoms closer to the defect than half the training cell.
        outside: of the others.
        first: ε_FC/‖Φ‖ times ‖Du‖ beyond, in Å: wrong force constants.
        second: ‖|Du|²‖ beyond, in Å²: wrong anharmonicity.
        formation: E_f in eV; None as above.
        error: E_f less that of the reference, in eV.
        note: why there is no geometry.
    """

    defect: str
    gradient: float
    geometry: float | None
    beyond: float | None
    inside: float
    outside: float
    first: float
    second: float
    formation: float | None
    error: float | None
    note: str = ""

    @property
    def limit(self) -> str:
        """Which term limits the geometry, in words."""
        if self.inside >= self.outside:
            return "forces near the defect"
        return "force constants" if self.first >= self.second else "anharmonicity far out"


@dataclass(frozen=True)
class Outcome:
    """What became of a variant.

    Args:
        variant: how it was trained.
        functions: of the basis.
        cost: atoms of all reference calculations that it needs.
        energy: root-mean-square error on the training cells, meV/atom.
        forces: the same, meV/Å.
        constants: ε_FC/‖Φ‖ of the perfect crystal.
        virial: error of the stress of the perfect crystal in GPa; None: no stresses.
        trials: on every defect.
    """

    variant: Variant
    functions: int
    cost: int
    energy: float
    forces: float
    constants: float
    virial: float | None
    trials: tuple[Trial, ...]


@dataclass(frozen=True, eq=False)
class Relaxation:
    """A defect at rest by the reference.

    Args:
        cell: as it was made.
        rest: at rest.
        energy: total, in eV.
        formation: E_f in eV.
        cost: atoms of all calculations.
    """

    cell: DefectCell
    rest: Structure
    energy: float
    formation: float
    cost: int

    @property
    def displacements(self) -> Floats:
        """Displacements u in Å, shape (n, 3)."""
        return self.rest.positions - self.cell.structure.positions


class Study:
    """All steps of a study; what the reference computes is kept by it.

    Args:
        config: of the study.
        reference: computes energies, forces and virials.
    """

    def __init__(self, config: DefectSettings, reference: Kept) -> None:
        self.config, self.reference = config, reference
        self.relaxation = cache(self._relaxation)
        self.rattled = cache(self._rattled)

    @cached_property
    def crystal(self) -> Structure:
        """The crystal at rest, where the reference has stresses, else as it was given."""
        start = crystal(self.config.crystal)
        if len(set(start.numbers.tolist())) != 1:
            raise InputError(f"crystal: expected one element, got {self.config.crystal}")
        if not np.isfinite(self.reference.compute(start).virial).all():
            return start
        found = relaxed(self.reference, start, cell="free", force=self.config.force)
        if not found.is_at_rest:
            raise ConvergenceError(f"{self.config.crystal}: the crystal does not come to rest")
        return found.structure

    @cached_property
    def mu(self) -> float:
        """Energy of an atom of the crystal in eV."""
        return self.reference.compute(self.crystal).energy / len(self.crystal)

    def _relaxation(self, defect: str, size: int) -> Relaxation:
        cell = defect_cell(self.crystal, defect, size)
        before = self.reference.atoms
        found = relaxed(self.reference, cell.structure, force=self.config.force)
        if not found.is_at_rest:
            raise ConvergenceError(
                f"{cell.structure.name}: the reference leaves {found.force:.1e} eV/Å after "
                f"{found.steps} calculations; expected {self.config.force:g} (force)"
            )
        formation = found.energy - self.mu * len(cell.structure)
        cost = self.reference.atoms - before
        return Relaxation(cell, found.structure, found.energy, formation, cost)

    def _rattled(self, defect: str, size: int, number: int) -> Structure:
        """A copy of a cell at rest with displaced atoms and its labels."""
        rest = self.relaxation(defect, size).rest
        place = self.config.defects.index(defect)
        rng = np.random.default_rng([self.config.seed, place, size, number])
        low, high = self.config.rattle
        width = low + (high - low) * ((number * 0.618034) % 1.0)
        moved = rest.moved(rest.positions + rng.normal(scale=width, size=rest.positions.shape))
        return self._labelled(moved)

    def _labelled(self, structure: Structure) -> Structure:
        found = self.reference.compute(structure)
        return structure.labelled(energy=found.energy, forces=found.forces)

    @cached_property
    def constants(self) -> tuple[Structure, ...]:
        """The perfect crystal with its force constants, a structure for each displacement."""
        whole = repeated(self.crystal, np.array([self.config.constants_size] * 3))
        step, known = self.config.displacement, Observable.known["force_constants"]
        found = []
        for atom in _different(self.crystal):
            for axis in _axes(self.crystal, atom):
                said = whole.labelled(labels={"displaced": np.array([atom, *axis, step])})
                result = self.reference.compute(whole)
                phi = known.predicted(said, result, self._every)
                found.append(said.labelled(labels={"force_constants": phi.reshape(-1, 3)}))
        return tuple(found)

    def _every(self, structures: Sequence[Structure]) -> list[Result]:
        return [self.reference.compute(one) for one in structures]

    def training(self, variant: Variant) -> tuple[list[Structure], int]:
        """Training structures of a variant, and the cost of making them."""
        found, cost = [], 0
        perfect = perfect_label(self.crystal)
        for defect in self.config.defects:
            one = self.relaxation(defect, variant.size)
            cost += one.cost + variant.rattles * len(one.rest)
            labels = {"formation_energy": one.formation, "perfect": perfect}
            found.append(self._labelled(one.rest).labelled(labels=labels))
            found += [self.rattled(defect, variant.size, k) for k in range(variant.rattles)]
        if variant.constants > 0:
            found += self.constants
            cost += 2 * sum(map(len, self.constants))
        return found, cost

    def fitted(self, variant: Variant) -> tuple[Fit, int]:
        """The model of a variant, and the cost of its data."""
        data, cost = self.training(variant)
        how = self.config.fit
        names = ["energy", "forces", "formation_energy"]
        names += ["force_constants"] if variant.constants > 0 else []
        weights = {
            "energy": how.energy, "forces": how.forces,
            "formation_energy": how.formation, "force_constants": variant.constants,
        }  # fmt: skip
        e0 = how.e0 or {SYMBOLS[int(self.crystal.numbers[0])]: self.mu}
        made = fit(
            data, how.basis, solver=how.solver, prior=how.prior, observables=names,
            weights={"default": weights}, e0=e0, accept_labels=True,
        )  # fmt: skip
        return made, cost

    def outcome(self, variant: Variant) -> tuple[Outcome, Fit]:
        """Train a variant, and try it on every defect in the large cell."""
        made, cost = self.fitted(variant)
        potential = made.potential
        constants = self.constants_error(potential)
        trials = [self.trial(potential, d, variant, constants) for d in self.config.defects]
        errors = made.report["train"]["all"]
        found = Outcome(
            variant, potential.tables.functions, cost, errors["E"]["rmse"], errors["F"]["rmse"],
            constants, self._stress_error(potential), tuple(trials),
        )  # fmt: skip
        return found, made

    def constants_error(self, potential: Potential) -> float:
        """‖Φ_ML - Φ‖/‖Φ‖ of the perfect crystal."""
        one = Observable.known["force_constants"]
        off, all_ = [], []
        for said in self.constants:
            phi = one.flat(said.labels["force_constants"])
            off.append(one.predicted(said, potential.compute(said), potential.compute_all) - phi)
            all_.append(phi)
        return float(np.linalg.norm(off) / np.linalg.norm(all_))

    def _stress_error(self, potential: Potential) -> float | None:
        virial = self.reference.compute(self.crystal).virial
        if not np.isfinite(virial).all():
            return None
        off = potential.compute(self.crystal).virial - virial
        return float(np.abs(off).max() / self.crystal.volume / GIGAPASCAL)

    def trial(self, potential: Potential, defect: str, variant: Variant, constants: float) -> Trial:
        """A model on a defect in the large cell, relaxed from the reference's geometry."""
        one = self.relaxation(defect, self.config.size)
        radius = variant.size * float(np.linalg.norm(self.crystal.cell, axis=1).min()) / 2
        u = one.displacements
        start = potential.compute(one.rest)
        inside, outside = one.cell.split(start.forces, radius)
        bulk = potential.compute(self.crystal).energy / len(self.crystal)
        first = constants * one.cell.norm(u, radius)
        second = one.cell.norm(u, radius, 2)
        gradient = float(np.linalg.norm(start.forces))
        known = (inside, outside, first, second)
        try:
            found = relaxed(potential, one.rest, force=self.config.force)
        except AceError as error:
            return Trial(defect, gradient, None, None, *known, None, None, str(error))
        off = found.structure.positions - one.rest.positions
        least = _BASIN * shortest(self.crystal)
        furthest = float(np.linalg.norm(off, axis=1).max())
        if furthest > least or not found.is_at_rest:
            why = f"an atom moved by {furthest:.2f} Å" if found.is_at_rest else "not at rest"
            return Trial(defect, gradient, None, None, *known, None, None, why)
        formation = found.energy - bulk * len(one.rest)
        return Trial(
            defect, gradient, one.cell.norm(off), one.cell.norm(off, radius), *known,
            formation, formation - one.formation,
        )  # fmt: skip


def _different(unit: Structure) -> list[int]:
    """Atoms of which no two are images of each other by a translation of the crystal."""
    kept: list[int] = []
    places = np.linalg.solve(unit.cell.T, unit.positions.T).T

    def same(a: int, b: int) -> bool:
        moved = places + places[b] - places[a]
        apart = moved[:, None] - places[None]
        apart -= np.rint(apart)
        return bool((np.abs(apart).max(axis=-1).min(axis=1) < 1e-4).all())

    for index in range(len(unit)):
        if not any(same(other, index) for other in kept):
            kept.append(index)
    return kept


def _axes(unit: Structure, atom: int) -> list[Floats]:
    """Directions of displacements of an atom, of x, y and z those that no mirror exchanges."""
    places = unit.positions - unit.positions[atom]
    inverse = np.linalg.inv(unit.cell)

    def exchanged(a: int, b: int) -> bool:
        order = [0, 1, 2]
        order[a], order[b] = b, a
        vectors = unit.cell[:, order] @ inverse
        if np.abs(vectors - np.rint(vectors)).max() > 1e-4:
            return False
        apart = (places[:, order][:, None] - places[None]) @ inverse
        apart -= np.rint(apart)
        return bool((np.abs(apart).max(axis=-1).min(axis=1) < 1e-4).all())

    kept: list[int] = []
    for axis in range(3):
        if not any(exchanged(other, axis) for other in kept):
            kept.append(axis)
    return [np.eye(3)[axis] for axis in kept]


def variants(config: DefectSettings) -> Sequence[Variant]:
    """Every variant of a study, smallest cells first."""
    return [
        Variant(size, rattles, weight)
        for size in sorted(config.sizes)
        for rattles in sorted(config.rattles)
        for weight in sorted(config.force_constants)
    ]
