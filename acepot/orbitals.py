"""Atomic orbitals: shells of every element, and where they stand in matrices.

An orbital is φ_{αm} = R_α(r) Y_lm, real harmonics without the Condon–Shortley sign, m = -l … l in
each shell α. In matrices atoms follow one another, in each its shells, in each m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acepot.basis.irrep import Irrep
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.schema import Settings

#: Letters of l = 0, 1, 2 …
LETTERS = "spdfg"
#: Most shells of an element.
MAX_SHELLS = 32


@dataclass(frozen=True)
class Orbitals:
    """The shells of every element.

    Args:
        shells: a letter for each shell of an element, in order, such as {"Si": "sp"} or
            {"Al": "sssppd"}.

    Raises:
        InputError: an unknown element or letter, no shell, or too many.
    """

    shells: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.shells:
            raise InputError("orbitals: expected shells of at least one element, got none")
        by_number = sorted(self.shells.items(), key=lambda item: atomic_number(item[0]))
        for symbol, letters in by_number:
            wrong = not isinstance(letters, str) or set(letters) - set(LETTERS)
            if wrong or not 1 <= len(letters) <= MAX_SHELLS:
                raise InputError(
                    f"orbitals.{symbol}: expected 1 to {MAX_SHELLS} letters out of {LETTERS}, "
                    f"such as sp, got {letters!r}"
                )
        object.__setattr__(self, "shells", dict(by_number))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return tuple(atomic_number(symbol) for symbol in self.shells)

    def ls(self, number: int) -> tuple[int, ...]:
        """Angular momentum l of every shell of an element.

        Raises:
            InputError: it has no orbitals.
        """
        letters = self.shells.get(SYMBOLS[number])
        if letters is None:
            raise InputError(
                f"orbitals: expected one of {', '.join(self.shells)}, got {SYMBOLS[number]}"
            )
        return tuple(LETTERS.index(letter) for letter in letters)

    def count(self, number: int) -> int:
        """Number of orbitals of an atom."""
        return sum(2 * l + 1 for l in self.ls(number))  # noqa: E741 - the field's own symbol

    def slices(self, number: int) -> list[slice]:
        """Where each shell stands among the orbitals of an atom."""
        ends = np.cumsum([0, *(2 * l + 1 for l in self.ls(number))]).tolist()  # noqa: E741
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def offsets(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the orbitals of each atom begin, and where the last ones end, shape (n + 1,)."""
        counts = {z: self.count(z) for z in np.unique(numbers).tolist()}
        return np.cumsum([0, *(counts[z] for z in numbers.tolist())])

    def onsite_parts(self) -> dict[Irrep, tuple[tuple[int, int], ...]]:
        """Pairs of shells of one atom whose blocks have a part of each (L, parity).

        Blocks of a shell with itself are symmetric and have no odd L; of two shells one block is
        the transpose of the other, and the first shell is the one that comes first.
        """
        found: set[tuple[Irrep, tuple[int, int]]] = set()
        for z in self.numbers:
            for one, two, irrep in self._parts(z, z):
                if one < two or (one == two and irrep.l % 2 == 0):
                    found.add((irrep, (one, two)))
        return _by_irrep(found)

    def bond_parts(self) -> dict[Irrep, tuple[tuple[int, int], ...]]:
        """Pairs of a shell of one atom and a shell of another one, likewise, in both orders."""
        found: set[tuple[Irrep, tuple[int, int]]] = set()
        for a in self.numbers:
            for b in self.numbers:
                found |= {(irrep, (one, two)) for one, two, irrep in self._parts(a, b)}
        return _by_irrep(found)

    def _parts(self, first: int, second: int) -> list[tuple[int, int, Irrep]]:
        """Every pair of shells of two elements with every (L, parity) of its blocks."""
        return [
            (one, two, Irrep(total, (-1) ** (l1 + l2)))
            for one, l1 in enumerate(self.ls(first))
            for two, l2 in enumerate(self.ls(second))
            for total in range(abs(l1 - l2), l1 + l2 + 1)
        ]


@dataclass(frozen=True)
class Filling(Settings):
    """How levels are filled with electrons.

    Args:
        kmesh: points along each reciprocal lattice vector, 1 where a direction is not periodic;
            None: as many as `kspacing` needs.
        kspacing: points are at most so far apart, in 1/Å (2π included).
        temperature: of the electrons in K.
        charge: of the cell in e.
    """

    kmesh: tuple[int, int, int] | None = None
    kspacing: float = 0.3
    temperature: float = 300.0
    charge: float = 0.0

    def check(self) -> None:
        """Numbers that can be."""
        if self.kmesh is not None and not 1 <= min(self.kmesh) <= max(self.kmesh) <= 1000:
            raise InputError(f"kmesh: expected three numbers from 1 to 1000, got {self.kmesh}")
        if not 0.001 <= self.kspacing <= 100:
            raise InputError(f"kspacing: expected 0.001 to 100 1/Å, got {self.kspacing}")
        if not 0 < self.temperature <= 1e6:
            raise InputError(f"temperature: expected above 0 to 1e6 K, got {self.temperature}")


def _by_irrep(
    found: set[tuple[Irrep, tuple[int, int]]],
) -> dict[Irrep, tuple[tuple[int, int], ...]]:
    irreps = sorted({irrep for irrep, _ in found}, key=lambda i: (i.l, -i.parity))
    return {i: tuple(sorted(pair for irrep, pair in found if irrep == i)) for i in irreps}
