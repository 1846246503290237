"""The evaluator contract as a function: what must hold for every model and structure.

Used by `acepot check`, and after the shape of torch-sim's `validate_model_outputs`: a user
can run it on a model file before trusting it with a week of computer time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import species_indices
from acepot.charges.evaluator import ChargeEvaluator
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.evaluate.protocol import EnergyEvaluator, Result, named, require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import ChargeModel, PotentialModel
from acepot.neighbours import build
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.voigt import to_voigt

Floats = NDArray[np.float64]

#: Rounding of an energy that is a sum of many terms, relative to the largest of E, F, W.
_EXACT = 1e-9
#: Finite differences, relative: truncation of two Richardson-combined steps.
_DIFFERENCE = 1e-6
#: Steps of finite differences in Å: finer ones where a function turns within a narrow window.
_STEPS = (2e-4, 5e-5, 1.25e-5)
#: Nearest neighbours tie if their distances differ by less, in Å; how far atoms are then moved.
_TIE, _SHAKEN = 1e-3, 0.02


@dataclass(frozen=True)
class Finding:
    """One law on one structure.

    Args:
        structure: its name.
        law: what must hold.
        error: by how much it does not, relative to the size of the quantity.
        limit: what is accepted.
    """

    structure: str
    law: str
    error: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the law holds."""
        return bool(self.error <= self.limit)


def check(
    model: PotentialModel, structures: Sequence[Structure] | None = None, seed: int = 0
) -> Iterator[Finding]:
    """Check a model against the laws every potential obeys.

    Energies are unchanged and forces turn with the structure under rotation, reflection,
    permutation and shifts by lattice vectors; forces and virial are finite differences of
    the energy; a supercell has twice the energy; design rows times coefficients are the
    evaluation; an atom alone has the energy E0. Charges add up to the total charge, and have no
    design rows.

    Args:
        model: what to check, with charges or without.
        structures: where; None: random triclinic cells, a molecule and a dimer of the
            model's elements.
        seed: of the random transformations.

    Yields:
        One finding per law and structure.

    Raises:
        InputError: a structure the model cannot evaluate.
    """
    run = _Run(model)
    rng = np.random.default_rng(seed)
    yield from run.alone()
    for number, structure in enumerate(structures or sample_structures(model, rng)):
        try:
            yield from run.laws(_off_the_kink(model, structure, rng), rng)
        except InputError as error:
            raise named(structure, error, number) from None


def sample_structures(model: PotentialModel, rng: np.random.Generator) -> list[Structure]:
    """Structures to try a model on: triclinic, asymmetric, all elements mixed.

    Args:
        model: for its elements and cut-off; one with charges is tried on no slab.
        rng: explicit generator.
    """
    charges = isinstance(model, ChargeModel)
    tables = lower(model.sites if isinstance(model, ChargeModel) else model)
    cutoff = float(tables.cutoff.max())
    apart = cutoff / 2.8  # about a bond length, as cut-offs are 2.5 of those
    cell = apart * np.array([[2.4, 0.2, -0.1], [0.4, 2.2, 0.3], [-0.2, 0.5, 2.6]])
    found = []
    for name, pbc in (("crystal", True), ("slab", (True, True, False)), ("molecule", False)):
        fractions = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) / 2
        positions = fractions @ cell + rng.normal(scale=0.07 * apart, size=(8, 3))
        numbers = rng.choice(model.numbers, size=8)
        numbers[: len(model.numbers)] = model.numbers[:8]
        held = None if name == "molecule" else cell
        if not (charges and name == "slab"):
            found.append(Structure(numbers, positions, held, pbc, name=name))
    ends = [model.numbers[0], model.numbers[-1]]
    far = apart * np.array([[0.0, 0.0, 0.0], [0.5, 0.7, -0.4]])
    return [*found, Structure(ends, far, name="dimer")]


class _Run:
    """One model with its evaluator."""

    def __init__(self, model: PotentialModel) -> None:
        self.model = model
        self.potential = Potential(model, threads=1)
        sites = ReferenceEvaluator(self.potential.tables)
        self.oracle: EnergyEvaluator = sites
        self.charges: ChargeEvaluator | None = None
        if isinstance(model, ChargeModel):
            self.oracle = ChargeEvaluator(model, sites=sites)
            self.charges = ChargeEvaluator(model, threads=1)
            self.e0 = self._constants(sites)
        else:
            self.e0 = model.e0
        self.cutoff = float(self.potential.tables.cutoff.max())

    def _constants(self, sites: ReferenceEvaluator) -> Floats:
        """What the first output says of atoms alone, shape (S,)."""
        atoms = [Structure([z], np.zeros((1, 3))) for z in self.model.numbers]
        return np.array([one.values[0][0, 0, 0] for one in require(sites.values(atoms))])

    def compute(self, structure: Structure) -> Result:
        return self.potential.compute(structure)

    def energy(
        self, structure: Structure, positions: Floats, strain: Floats | None = None
    ) -> float:
        change = np.eye(3) if strain is None else np.eye(3) + strain
        moved = replace(
            structure, positions=positions @ change.T, cell=structure.cell @ change.T, forces=None
        )
        return self.compute(moved).energy

    def alone(self) -> Iterator[Finding]:
        """One atom of each element, far from everything."""
        for number, e0 in zip(self.model.numbers, self.e0, strict=True):
            result = self.compute(Structure([number], [[0.1, 0.2, 0.3]]))
            error = _largest(result.energy - e0, result.forces, result.virial)
            yield Finding("atom", "an atom alone has the energy E0", error, 0.0)

    def laws(self, structure: Structure, rng: np.random.Generator) -> Iterator[Finding]:
        """Every law on one structure."""
        name = structure.name or "structure"
        base = self.compute(structure)
        species = species_indices(self.model.numbers, structure.numbers)
        binding = base.energies - self.e0[species]
        size = _largest(binding, base.forces, base.virial, 1.0)
        if not np.isfinite(size):
            raise InputError(f"{name}: the model gives numbers that are not finite")

        def finding(law: str, error: float, limit: float) -> Finding:
            return Finding(name, law, float(error) / size, limit)

        for law, turn in (("rotation", 1.0), ("reflection", -1.0)):
            q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            q *= turn * np.sign(np.linalg.det(q))
            turned = self.compute(
                replace(structure, positions=structure.positions @ q.T, cell=structure.cell @ q.T)
            )
            error = _largest(
                turned.energy - base.energy,
                turned.forces - base.forces @ q.T,
                turned.virial - q @ base.virial @ q.T,
            )
            yield finding(f"a {law} turns forces and virial", error, _EXACT)
        order = rng.permutation(len(structure))
        shuffled = self.compute(
            replace(
                structure,
                numbers=structure.numbers[order],
                positions=structure.positions[order],
                forces=None,
            )
        )
        error = _largest(shuffled.energy - base.energy, shuffled.forces - base.forces[order])
        yield finding("renumbering atoms renumbers forces", error, _EXACT)
        if structure.pbc.any():
            shift = rng.integers(-2, 3, size=(len(structure), 3)) * structure.pbc
            moved = self.compute(
                replace(structure, positions=structure.positions + shift @ structure.cell)
            )
            error = _largest(moved.energy - base.energy, moved.forces - base.forces)
            yield finding("a lattice vector changes nothing", error, _EXACT)
            twice = self.compute(_doubled(structure))
            error = _largest(
                twice.energy - 2 * base.energy,
                twice.forces - np.tile(base.forces, (2, 1)),
                twice.virial - 2 * base.virial,
            )
            yield finding("a supercell has twice the energy", error, _EXACT)
        allowed = _DIFFERENCE * size
        error = self._force_error(structure, base, rng, allowed)
        yield finding("forces are -dE/dr", error, _DIFFERENCE)
        error = self._virial_error(structure, base, allowed)
        yield finding("the virial is -dE/dε", error, _DIFFERENCE)
        yield finding("the oracle agrees", self._oracle_error(structure, base), _EXACT)
        if self.charges is not None:
            (found,) = self.charges.charges([structure])
            error = abs(float(found.values.sum()) - (structure.charge or 0.0))
            yield finding("charges add up to the total", error, _EXACT)
        elif self.model.nonlinear is None:  # type: ignore[union-attr]
            error = self._row_error(structure, base)
            yield finding("design rows times coefficients", error, _EXACT)

    def _force_error(
        self, structure: Structure, base: Result, rng: np.random.Generator, allowed: float
    ) -> float:
        worst = 0.0
        for _ in range(3):
            direction = rng.normal(size=structure.positions.shape)
            direction /= np.linalg.norm(direction)

            def moved(h: float, d: Floats = direction) -> float:
                return self.energy(structure, structure.positions + h * d)

            along = float((base.forces * direction).sum())
            worst = _largest(worst, _mismatch(moved, -along, allowed))
        return worst

    def _virial_error(self, structure: Structure, base: Result, allowed: float) -> float:
        worst = 0.0
        for x, y in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
            strain = np.zeros((3, 3))
            strain[x, y] = 1.0

            def strained(h: float, e: Floats = strain) -> float:
                return self.energy(structure, structure.positions, h * e)

            worst = _largest(worst, _mismatch(strained, -float(base.virial[x, y]), allowed))
        return worst

    def _oracle_error(self, structure: Structure, base: Result) -> float:
        (slow,) = require(self.oracle.evaluate([structure]))
        return _largest(
            slow.energies - base.energies, slow.forces - base.forces, slow.virials - base.virials
        )

    def _row_error(self, structure: Structure, base: Result) -> float:
        species = species_indices(self.model.numbers, structure.numbers)
        tables = self.potential.tables
        rows = np.empty((3 * len(structure) + 7, tables.functions), order="F")
        NativeRowBuilder(tables).fill(structure, ("energy", "forces", "virial"), rows)
        bare = base.energy - self.e0[species].sum()
        found = np.concatenate(([bare], base.forces.ravel(), to_voigt(base.virial)))
        return _largest(rows @ self.potential.model.coefficients[0, 0] - found)


def _largest(*errors: Floats | float) -> float:
    """The largest magnitude; not a number if any of them is not (unlike Python's max)."""
    return float(np.max([np.abs(error).max() for error in errors]))


def _doubled(structure: Structure) -> Structure:
    """Two cells along the first periodic direction, without labels."""
    axis = int(structure.pbc.argmax())
    cell = np.array(structure.cell)
    positions = np.concatenate((structure.positions, structure.positions + cell[axis]))
    cell[axis] *= 2
    charge = None if structure.charge is None else 2 * structure.charge
    return Structure(np.tile(structure.numbers, 2), positions, cell, structure.pbc, charge=charge)


def _off_the_kink(
    model: PotentialModel, structure: Structure, rng: np.random.Generator
) -> Structure:
    """The structure, shaken if the nearest neighbours of an atom tie in a model with ZBL.

    There the energy depends on min_j (r_ij - r_in + δ) while that is between 0 and δ, so where
    two neighbours tie it has a kink: no derivative, and forces are those of either neighbour.
    """
    nonlinear = None if isinstance(model, ChargeModel) else model.nonlinear
    inner = None if nonlinear is None else nonlinear.inner
    if inner is None:
        return structure
    species = species_indices(model.numbers, structure.numbers)
    edges = build(structure, float(inner.sum(axis=2).max()) + _TIE)
    begin, width = inner[species[edges.centre], species[edges.neighbour]].T
    gap = np.linalg.norm(edges.vector, axis=1) - begin
    for start, stop in zip(edges.first, edges.first[1:], strict=False):
        order = start + np.argsort(gap[start:stop])[:2]
        if len(order) == 2 and np.diff(gap[order])[0] < _TIE:
            if -_TIE < gap[order[0]] < width[order[0]] + _TIE:
                moved = rng.normal(scale=_SHAKEN, size=structure.positions.shape)
                return replace(
                    structure,
                    positions=structure.positions + moved,
                    name=f"{structure.name or 'structure'} shaken (neighbours tied)",
                )
    return structure


def _mismatch(energy: Callable[[float], float], derivative: float, allowed: float) -> float:
    """How far dE/dh at 0 is from a derivative, by differences that have converged.

    Args:
        energy: E(h).
        derivative: what dE/dh should be.
        allowed: below which nothing finer is tried.
    """
    before = np.inf
    for step in _STEPS:
        slope = _slope(energy, step)
        error = abs(slope - derivative)
        # Once two steps agree, what is left is no error of the differences.
        if error <= allowed or abs(slope - before) <= allowed:
            break
        before = slope
    return error


def _slope(energy: Callable[[float], float], step: float) -> float:
    """dE/dh at 0 by central differences at two steps, combined to fourth order."""
    wide = (energy(2 * step) - energy(-2 * step)) / (4 * step)
    near = (energy(step) - energy(-step)) / (2 * step)
    return float((4 * near - wide) / 3)
