"""Weights of structures by their energies, or from a file, beside those of their config types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.schema import Kind
from acepot.structure import Structure

__all__ = ["FACTORS", "EnergyBased", "FromFile", "Uniform", "Weighting"]

Floats = NDArray[np.float64]
#: The label of a structure that holds what multiplies the weights of its rows, of energy, forces
#: and virial.
FACTORS = "weight"


@dataclass(frozen=True)
class Weighting(Kind, ABC):
    """What multiplies the weights of the rows of each structure."""

    @abstractmethod
    def factors(self, structures: Sequence[Structure], e0: Mapping[str, float]) -> Floats | None:
        """Factors of the energy, forces and virial rows of training structures.

        Args:
            structures: they.
            e0: energy of the isolated atom in eV by symbol.

        Returns:
            Shape (n, 3); 0 leaves rows out. None: all are 1.
        """

    def weighed(self, structures: Sequence[Structure], e0: Mapping[str, float]) -> list[Structure]:
        """The structures with their factors as a label, which `Recipe.weights_of` reads.

        Args:
            structures: of the training data.
            e0: energy of the isolated atom in eV by symbol.
        """
        found = self.factors(structures, e0)
        if found is None:
            return list(structures)
        return [
            replace(one, labels={**one.labels, FACTORS: row})
            for one, row in zip(structures, found, strict=True)
        ]

    def moved(self, rename: Callable[[str], str]) -> Weighting:
        """The same with names of files passed through a function.

        Args:
            rename: it.
        """
        return self


@dataclass(frozen=True)
class Uniform(Weighting, kind="uniform"):
    """All structures of a config type weigh the same."""

    def factors(self, structures: Sequence[Structure], e0: Mapping[str, float]) -> Floats | None:
        """None."""
        return None


@dataclass(frozen=True)
class EnergyBased(Weighting, kind="energy_based"):
    """Structures of low energy count more.

    Squared residuals are weighted by

        w_E ∝ 1/(ΔE + energy)²,   w_F ∝ w_E/(⟨|F|²⟩ + forces²),   virials as energies,

    ΔE being the energy per atom above a reference, as pacemaker has it (Bochkarev et al., Phys.
    Rev. Mater. 6, 013804 (2022)); w_F is one number for a structure. The mean of each is 1.

    Args:
        reference: of ΔE: convex_hull, the lowest mixture of other structures of the data with the
            same composition; or cohesive, the lowest energy less E0 of all.
        energy: in eV/atom.
        forces: in eV/Å.
        highest: structures with ΔE above this are left out, in eV/atom.
        low: ΔE below which structures are of low energy, in eV/atom.
        share: of all weight that those of low energy have together.
    """

    reference: Literal["convex_hull", "cohesive"] = "convex_hull"
    energy: float = 1.0
    forces: float = 1.0
    highest: float = 10.0
    low: float = 1.0
    share: float = 0.75

    def check(self) -> None:
        """Numbers that can be."""
        at_least("energy", self.energy, above=True)
        at_least("forces", self.forces, above=True)
        at_least("highest", self.highest, above=True)
        at_least("low", self.low, above=True)
        if not 0 < self.share < 1:
            raise InputError(f"share: expected a part between 0 and 1, got {self.share}")

    def factors(self, structures: Sequence[Structure], e0: Mapping[str, float]) -> Floats:
        """As the class says.

        Raises:
            InputError: a structure has no energy, or none is kept.
        """
        above = self.above(structures, e0)
        kept = above <= self.highest
        if not kept.any():
            raise InputError(
                f"weighting.highest: all structures are more than {self.highest:g} eV/atom above "
                "the reference; expected a larger number"
            )
        energies = np.where(kept, 1 / (above + self.energy) ** 2, 0.0)
        low = above < self.low
        if low.any() and (kept & ~low).any():
            total = energies.sum()
            for part, share in ((low, self.share), (~low, 1 - self.share)):
                energies[part] *= share * total / energies[part].sum()
        squares = [
            0.0 if s.forces is None else (s.forces**2).sum(axis=1).mean() for s in structures
        ]
        forces = energies / (np.array(squares) + self.forces**2)
        found = np.stack([energies, forces, energies], axis=1)
        return np.asarray(np.sqrt(found * kept.sum() / found.sum(axis=0)))

    def above(self, structures: Sequence[Structure], e0: Mapping[str, float]) -> Floats:
        """ΔE of every structure in eV/atom, shape (n,).

        Args:
            structures: of the training data.
            e0: energy of the isolated atom in eV by symbol.

        Raises:
            InputError: a structure has no energy.
        """
        numbers = sorted({int(z) for s in structures for z in s.numbers})
        mixtures = np.array([[np.mean(s.numbers == z) for z in numbers] for s in structures])
        energies = np.empty(len(structures))
        for number, one in enumerate(structures):
            if one.energy is None:
                where = one.name or f"structure {number}"
                raise InputError(
                    f'{where}: weighting.kind = "energy_based" needs the energy of every training '
                    "structure, and this one has none"
                )
            energies[number] = one.energy / len(one)
        cohesive = energies - mixtures @ np.array([e0[SYMBOLS[z]] for z in numbers])
        if self.reference == "cohesive":
            return np.asarray(cohesive - cohesive.min())
        return np.asarray(cohesive - _hull(mixtures, cohesive))


def _hull(mixtures: Floats, energies: Floats) -> Floats:
    """The lowest energy of a mixture of structures with the composition of each, shape (n,)."""
    kinds, of = np.unique(np.round(mixtures, 9), axis=0, return_inverse=True)
    least = np.full(len(kinds), np.inf)
    np.minimum.at(least, of.ravel(), energies)
    found = np.empty(len(kinds))
    for k, mixture in enumerate(kinds):
        solved = linprog(least, A_eq=kinds.T, b_eq=mixture, bounds=(0, 1))
        found[k] = min(solved.fun, least[k]) if solved.success else least[k]
    return np.asarray(found[of.ravel()])


@dataclass(frozen=True)
class FromFile(Weighting, kind="file"):
    """Numbers that a file has for every training structure.

    Args:
        file: of text, a line for each structure in the order of the training files: one number
            that multiplies all its weights, or three: of energy, forces and virial. What follows a
            # is a comment.
    """

    file: str

    def check(self) -> None:
        """It needs a name."""
        if not self.file:
            raise InputError("file: expected the name of a file, got an empty one")

    def factors(self, structures: Sequence[Structure], e0: Mapping[str, float]) -> Floats:
        """The numbers in the file.

        Raises:
            InputError: it cannot be read, or holds another number of lines, or a wrong number.
        """
        path, found = Path(self.file), []
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot read the weights: {error}") from error
        for number, line in enumerate(text.splitlines(), start=1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            where = f"{path}, line {number}"
            try:
                values = [float(word) for word in words]
            except ValueError:
                raise InputError(f"{where}: expected one number or three, got {line!r}") from None
            if len(values) not in (1, 3):
                raise InputError(f"{where}: expected one number or three, got {len(values)}")
            for value in values:
                at_least(where, value)
            found.append(values * (3 if len(values) == 1 else 1))
        if len(found) != len(structures):
            raise InputError(
                f"{path}: expected a line for each of the {len(structures)} training structures, "
                f"got {len(found)}"
            )
        return np.array(found)

    def moved(self, rename: Callable[[str], str]) -> FromFile:
        """As `Weighting.moved`."""
        return replace(self, file=rename(self.file))
