"""Laws of evaluators of energies.

    class TestNumpy(EvaluatorLaws):
        evaluator = staticmethod(ReferenceEvaluator)

Each law is of two elements and many-body terms, in a triclinic cell, a slab and a molecule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.evaluate.protocol import EnergyEvaluator, Floats, Result
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.lowering import lower
from acepot.model import Model
from acepot.structure import Structure
from acepot.suites.solvers import hold
from acepot.tables import Tables

__all__ = ["EvaluatorLaws"]

_STEP = 2e-5
_CELL = np.array([[5.1, 0.4, -0.2], [0.9, 4.7, 0.6], [-0.4, 1.0, 5.6]])
_FRACTIONS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) / 2


class EvaluatorLaws:
    """What whoever evaluates energies promises.

    A subclass sets `evaluator`; `exact` where its arithmetic is not that of double precision.
    """

    evaluator: Callable[[Tables], EnergyEvaluator]
    #: Relative to the largest number of its kind: rounding, and differences of second order.
    exact, sloped = 1e-10, 1e-6

    def tables(self) -> Tables:
        """A model of two elements."""
        spec = resolve(BasisSpec(("Si", "O"), order=3, degree=5.0, cutoff=4.2, r0=2.2))
        size = spec.expansion().size
        c = np.random.default_rng(4).normal(size=size) / np.arange(1, size + 1)
        return lower(Model(spec, c, np.array([-3.0, 2.0])))

    def structures(self) -> Iterator[Structure]:
        """Cell, slab and molecule, none with a symmetry."""
        rng = np.random.default_rng(5)
        for name, pbc in (("crystal", True), ("slab", (True, True, False)), ("molecule", False)):
            places = _FRACTIONS @ _CELL + 0.15 * rng.normal(size=(8, 3))
            cell = None if pbc is False else _CELL
            yield Structure([14, 8, 14, 14, 8, 8, 14, 8], places, cell, pbc, name=name)

    def of(self, structure: Structure) -> Result:
        """The result of one structure."""
        (result,) = type(self).evaluator(self.tables()).evaluate([structure])
        if result.error is not None:
            raise result.error
        return result

    def test_numbers_are_those_of_the_oracle(self) -> None:
        """Energies of atoms, forces and virials of the definition, term by term."""
        evaluator, oracle = type(self).evaluator(self.tables()), ReferenceEvaluator(self.tables())
        several = list(self.structures())
        pairs = zip(evaluator.evaluate(several), oracle.evaluate(several), strict=True)
        for structure, (mine, known) in zip(several, pairs, strict=True):
            for what in ("energies", "forces", "virials"):
                self._same(getattr(mine, what), getattr(known, what), f"{structure.name}: {what}")

    def test_forces_and_virial_are_derivatives_of_the_energy(self) -> None:
        """Central differences by one position and one strain."""
        for one in self.structures():
            result, rng = self.of(one), np.random.default_rng(6)
            along, strain = rng.normal(size=one.positions.shape), rng.normal(size=(3, 3))
            energies = [
                self.of(one.moved(one.positions + h * along)).energy for h in (_STEP, -_STEP)
            ]
            self._slope(energies, -(result.forces * along).sum(), f"{one.name}: forces")
            by_strain = []
            for h in (_STEP, -_STEP):
                turn = np.eye(3) + h * strain
                cell = one.cell @ turn if one.pbc.any() else None
                moved = Structure(one.numbers, one.positions @ turn, cell, one.pbc)
                by_strain.append(self.of(moved).energy)
            self._slope(by_strain, -(result.virial * strain).sum(), f"{one.name}: virial")

    def test_turned_mirrored_shifted_and_renumbered(self) -> None:
        """Energies stay; forces and virials turn with the atoms."""
        rng = np.random.default_rng(7)
        for one in self.structures():
            result = self.of(one)
            turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            turn *= -np.sign(np.linalg.det(turn))  # a reflection
            order = rng.permutation(len(one))
            places = (one.positions + rng.normal(size=3)) @ turn
            cell = one.cell @ turn if one.pbc.any() else None
            moved = self.of(Structure(one.numbers[order], places[order], cell, one.pbc))
            self._same(moved.energies, result.energies[order], f"{one.name}: energies")
            self._same(moved.forces, result.forces[order] @ turn, f"{one.name}: forces")
            self._same(moved.virial, turn.T @ result.virial @ turn, f"{one.name}: virial")

    def test_a_doubled_cell_has_twice_the_energy(self) -> None:
        """Energies of atoms depend on their neighbours alone."""
        one = next(self.structures())
        cell = one.cell * np.array([[2.0], [1.0], [1.0]])
        both = np.concatenate([one.positions, one.positions + one.cell[0]])
        doubled = self.of(Structure(np.tile(one.numbers, 2), both, cell, True))
        result = self.of(one)
        self._same(doubled.energies, np.tile(result.energies, 2), "energies")
        self._same(doubled.forces, np.tile(result.forces, (2, 1)), "forces")

    def test_an_atom_alone_has_its_own_energy(self) -> None:
        """E0, and no force."""
        tables = self.tables()
        for number, e0 in zip(tables.numbers.tolist(), tables.e0.tolist(), strict=True):
            result = self.of(Structure([number], [[0.3, -0.2, 0.1]]))
            hold(abs(result.energy - e0) <= self.exact * abs(e0), f"{result.energy} eV, not {e0}")
            hold(not result.forces.any(), f"forces {result.forces.tolist()} on an atom alone")

    def test_what_is_wrong_with_one_structure_does_not_stop_the_others(self) -> None:
        """An element that is unknown, and two atoms at one place."""
        good = next(self.structures())
        twice = Structure([14, 14], np.zeros((2, 3)), name="twice")
        other = Structure([79], [[0.0, 0.0, 0.0]], name="gold")
        several = [twice, good, other, good]
        found = type(self).evaluator(self.tables()).evaluate(several)
        told = [result.error is not None for result in found]
        hold(told == [True, False, True, False], f"errors of {told}")
        hold(bool(np.isnan(found[0].energies).all()), "an error, and numbers beside it")
        self._same(found[1].forces, self.of(good).forces, "forces beside what is wrong")

    def _same(self, mine: Floats, known: Floats, what: str) -> None:
        off = float(np.abs(mine - known).max() / np.abs(known).max())
        hold(off <= self.exact, f"{what} are {off:.1e} off")

    def _slope(self, energies: list[float], known: float, what: str) -> None:
        found = (energies[0] - energies[1]) / (2 * _STEP)
        off = abs(found - known) / max(abs(known), 1.0)
        hold(off <= self.sloped, f"{what}: {known:.8g}, differences of energies {found:.8g}")
