"""Energies against compositions: reference energies, outliers, elements seen too rarely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.fitting.labels.contacts import contact
from acepot.fitting.labels.findings import Finding, largest_force, named, strange, wrong
from acepot.structure import Structure
from acepot.units import HARTREE, KILOCALORIE_PER_MOLE, KILOJOULE_PER_MOLE, RYDBERG

__all__ = ["absolute", "compositions", "outliers", "rare", "references", "robust"]

Floats = NDArray[np.float64]
#: What E0 may leave to be fitted, in eV/atom: more than any cohesive energy.
_LEFT = 15.0
#: How far an energy per atom may be from what its composition gives: in eV, in Å times its largest
#: force, and in the spread of all.
_FAR, _REACH, _SPREADS = 12.0, 2.0, 30.0
#: Atoms that are closer than this part of their radii may have any energy.
_SQUEEZED = 0.72
#: Two energies of one isolated atom are the same up to this, in eV.
_SAME = 1e-3


def compositions(structures: Sequence[Structure], symbols: Sequence[str]) -> Floats:
    """The part of each element among the atoms, shape (structures, elements)."""
    numbers = [atomic_number(s) for s in symbols]
    return np.array([[np.mean(s.numbers == z) for z in numbers] for s in structures], dtype=float)


def robust(columns: Floats, target: Floats) -> Floats:
    """Coefficients of the columns that leave the smallest sum of absolute residuals.

    Args:
        columns: shape (m, k).
        target: shape (m,).
    """
    weights: Floats = np.ones(len(target))
    solution: Floats = np.zeros(columns.shape[1])
    for _ in range(30):
        solution[:] = np.linalg.lstsq(columns * weights[:, None], target * weights, rcond=None)[0]
        left = np.abs(target - columns @ solution)
        weights = 1 / np.sqrt(np.maximum(left, 1e-3 * float(np.median(left)) + 1e-9))
    return np.asarray(solution)


@dataclass(frozen=True, eq=False)
class Outlier:
    """A structure whose energy is far from what all others say about its composition.

    Args:
        structure: with the energy.
        excess: how far, in eV/atom.
        spread: of the others, in eV/atom.
    """

    structure: Structure
    excess: float
    spread: float

    def finding(self) -> Finding:
        """It in words."""
        return wrong(
            f"{named([self.structure])}: its energy per atom is {abs(self.excess):.3g} eV "
            f"{'above' if self.excess > 0 else 'below'} what its composition gives (spread of the "
            f"others {self.spread:.2g} eV); correct it or leave the structure out"
        )


def outliers(train: Sequence[Structure]) -> list[Outlier]:
    """Energies that neither compositions nor large forces, pressures or short distances explain."""
    labelled = [s for s in train if s.energy is not None]
    if len(labelled) < 4:
        return []
    symbols = sorted({SYMBOLS[z] for s in labelled for z in np.unique(s.numbers)})
    parts = compositions(labelled, symbols)
    energies = np.array([s.energy / len(s) for s in labelled if s.energy is not None])
    left = energies - parts @ robust(parts, energies)
    left -= float(np.median(left))
    spread = 1.48 * float(np.median(np.abs(left)))
    allowed = np.array([_FAR + _REACH * largest_force(s) + _pressure(s) for s in labelled])
    allowed = np.maximum(allowed, _SPREADS * spread)
    beyond = np.flatnonzero(np.abs(left) > allowed)
    far = [i for i in beyond[:100] if left[i] < 0 or contact(labelled[i]) > _SQUEEZED]
    return [Outlier(labelled[i], float(left[i]), spread) for i in far]


def _pressure(structure: Structure) -> float:
    """The largest component of the virial in eV/atom; 0 without one."""
    if structure.virial is None:
        return 0.0
    return float(np.abs(structure.virial).max()) / len(structure)


def references(
    train: Sequence[Structure],
    isolated: Sequence[Structure],
    e0: Mapping[str, float],
    origin: Mapping[str, str],
    without: Mapping[str, float],
) -> Iterator[Finding]:
    """Reference energies that belong to other energies than those of the data.

    Args:
        train: training structures.
        isolated: those of them that are one atom without neighbours, with an energy.
        e0: in eV by symbol.
        origin: where each came from.
        without: E0 as the data alone give them.
    """
    for one in isolated:
        symbol = SYMBOLS[int(one.numbers[0])]
        if one.energy is not None and abs(one.energy - e0[symbol]) > _SAME:
            yield strange(
                f"{named([one])}: an isolated {symbol} atom has {one.energy:.6g} eV, but "
                f"e0.{symbol} = {e0[symbol]:.6g} is given; leave e0.{symbol} out to take "
                "the energy of this atom"
            )
    several = [s for s in train if s.energy is not None and len(s) > 1]
    if not several or set(origin.values()) <= {"least squares"}:
        return
    left = np.array(
        [
            (s.energy - sum(e0[SYMBOLS[z]] for z in s.numbers.tolist())) / len(s)
            for s in several
            if s.energy is not None
        ]
    )
    mean, spread = float(np.median(left)), float(np.std(left))
    if abs(mean) < _LEFT:
        return
    sources = ", ".join(dict.fromkeys(origin.values()))
    instead = ", ".join(f"{s} {e:.4g}" for s, e in without.items())
    yield strange(
        f"{named(several)}: E0 ({sources}) leave {mean:+.4g} eV/atom on average (spread "
        f"{spread:.2g} eV/atom) to be fitted, more than any bond has: they belong to other "
        f"energies than these; without them the data give {instead} eV"
    )


def rare(
    train: Sequence[Structure],
    test: Sequence[Structure],
    e0: Mapping[str, float],
    origin: Mapping[str, str],
) -> Iterator[Finding]:
    """Elements that one structure alone holds, or only the test data."""
    holders: dict[str, list[Structure]] = {}
    for one in train:
        for z in np.unique(one.numbers).tolist():
            holders.setdefault(SYMBOLS[z], []).append(one)
    for symbol, found in holders.items():
        if len(found) == 1 and len(train) > 1:
            yield strange(
                f"{named(found)}: the only structure with {symbol}; its E0 "
                f"({e0[symbol]:.4g} eV, {origin[symbol]}) and its functions rest on this one alone"
            )
    for symbol in sorted({SYMBOLS[z] for s in test for z in np.unique(s.numbers)} - set(holders)):
        found = [s for s in test if atomic_number(symbol) in s.numbers]
        yield strange(
            f"{named(found)}: {symbol} is in no training structure: its E0 is "
            f"{e0.get(symbol, 0.0):.4g} eV ({origin.get(symbol, 'not in the training data')}) and "
            "its coefficients are 0, so what is predicted for it means nothing"
        )


def absolute(train: Sequence[Structure]) -> Iterator[Finding]:
    """Total energies of all electrons in another unit, which their size alone tells.

    A neutral atom has about -0.7687 Z^(7/3) + Z²/2 - 0.2699 Z^(5/3) Hartree (J. Schwinger, Phys.
    Rev. A 22, 1827 (1980) and 24, 2353 (1981)): 1 % off for carbon, less for heavier atoms.
    """
    labelled = [s for s in train if s.energy is not None]
    if not labelled:
        return
    whole = [
        HARTREE * float(np.sum(-0.7687 * z ** (7 / 3) + z**2 / 2 - 0.2699 * z ** (5 / 3)))
        for z in (s.numbers.astype(float) for s in labelled)
    ]
    energies = [s.energy for s in labelled if s.energy is not None]
    ratio = float(np.median(np.array(energies) / np.array(whole)))
    units = {
        "Ha": HARTREE, "Ry": RYDBERG, "kcal/mol": KILOCALORIE_PER_MOLE,
        "kJ/mol": KILOJOULE_PER_MOLE,
    }  # fmt: skip
    for unit, size in units.items():
        if abs(ratio * size - 1) < 0.015:
            yield strange(
                f"{named(labelled)}: the energies are those of all electrons in {unit}, not in eV "
                f"(units: energy={unit})"
            )
