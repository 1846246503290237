"""What is known before a basis is: the elements, the reference energies, what can be fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.neighbours import build
from acepot.structure import Structure


def elements(structures: Sequence[Structure]) -> tuple[str, ...]:
    """Chemical symbols of all atoms, by atomic number."""
    numbers = sorted({int(z) for s in structures for z in np.unique(s.numbers)})
    return tuple(SYMBOLS[z] for z in numbers)


def reference_energies(
    structures: Sequence[Structure],
    symbols: Sequence[str],
    given: dict[str, float] | None,
    cutoff: float,
) -> tuple[dict[str, float], dict[str, str]]:
    """E0 of every element: as given, else from isolated atoms, else by least squares.

    The least-squares values minimise Σ ((E - Σ_i E0_i)/n)² over the structures with an
    energy; where the compositions do not separate the elements, the smallest values are taken.
    An element that no structure with an energy has gets 0.

    Args:
        structures: training data.
        symbols: elements of the model.
        given: energies in eV by symbol, for all or some of the elements.
        cutoff: an atom without neighbours closer than this (Å) is isolated.

    Returns:
        E0 in eV by symbol, and by symbol where it came from.

    Raises:
        InputError: `given` names another element, or isolated atoms disagree.
    """
    given = given or {}
    if unknown := set(given) - set(symbols):
        raise InputError(
            f"e0: {', '.join(sorted(unknown))} is not among the elements {list(symbols)}"
        )
    energies = dict(given)
    origin = dict.fromkeys(given, "given")
    for structure in structures:
        symbol = SYMBOLS[structure.numbers[0]]
        if structure.energy is None or symbol in given or not is_isolated(structure, cutoff):
            continue
        if abs(energies.setdefault(symbol, structure.energy) - structure.energy) > 1e-6:
            raise InputError(
                f"{structure.name}: a second isolated {symbol} atom has energy "
                f"{structure.energy} eV, the first {energies[symbol]} eV; give e0.{symbol}"
            )
        origin[symbol] = "isolated atom"
    missing = [s for s in symbols if s not in energies]
    labelled = [s for s in structures if s.energy is not None]
    if missing and not labelled:
        for symbol in missing:
            energies[symbol], origin[symbol] = 0.0, "no energies"
    elif missing:
        counts = np.array(
            [[np.sum(x.numbers == atomic_number(s)) for s in symbols] for x in labelled],
            dtype=float,
        )
        target = np.array([x.energy for x in labelled])
        known = [k for k, s in enumerate(symbols) if s not in missing]
        fitted = [k for k, s in enumerate(symbols) if s in missing]
        target = target - counts[:, known] @ [energies[symbols[k]] for k in known]
        atoms = counts.sum(axis=1)
        values = np.linalg.lstsq(counts[:, fitted] / atoms[:, None], target / atoms, rcond=None)[0]
        for k, value in zip(fitted, values, strict=True):
            occurs = counts[:, k].any()
            energies[symbols[k]] = float(value) if occurs else 0.0
            origin[symbols[k]] = "least squares" if occurs else "not in the training data"
    return {s: energies[s] for s in symbols}, {s: origin[s] for s in symbols}


def is_isolated(structure: Structure, cutoff: float) -> bool:
    """Whether a structure is one atom with no neighbour or image within the cut-off."""
    return len(structure) == 1 and len(build(structure, cutoff).centre) == 0
