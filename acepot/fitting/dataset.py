"""What is known before a basis is: structures, elements, distances, reference energies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.evaluate.protocol import named
from acepot.fitting.observables import Observable
from acepot.io.structures.atoms import from_atoms_list
from acepot.neighbours import nearest
from acepot.structure import Structure


def as_structures(
    given: Iterable[Any] | Structure, none: bool = False, notes: list[str] | None = None
) -> list[Structure]:
    """Structures as they are, Atoms of ASE with the labels that are found in all of them.

    Args:
        given: structures, Atoms, or one structure.
        none: whether there may be none.
        notes: to which is added what is doubtful about the keys of Atoms.

    Raises:
        InputError: neither, or none where there must be some.
    """
    found = [given] if isinstance(given, Structure) else list(given)
    if not found and not none:
        raise InputError("structures: expected at least one, got none")
    atoms = [one for one in found if not isinstance(one, Structure)]
    labelled, count = from_atoms_list(atoms) if atoms else ([], None)
    if notes is not None and count is not None:
        notes += count.notes
    made = iter(labelled)
    return [one if isinstance(one, Structure) else next(made) for one in found]


def elements(structures: Sequence[Structure]) -> tuple[str, ...]:
    """Chemical symbols of all atoms, by atomic number."""
    numbers = sorted({int(z) for s in structures for z in np.unique(s.numbers)})
    return tuple(SYMBOLS[z] for z in numbers)


def shortest_distances(
    structure: Structure, reach: float, number: int | None = None
) -> dict[str, float]:
    """The shortest distance in Å of every pair of elements that are closer than the reach (Å).

    Args:
        structure: atoms and cell.
        reach: in Å.
        number: among several, for messages about those without a name.

    Raises:
        InputError: two atoms coincide, or the cell is too flat.
    """
    try:
        found = nearest(structure, reach)
    except InputError as error:
        raise named(structure, error, number) from None
    return {f"{SYMBOLS[a]}-{SYMBOLS[b]}": length for (a, b), length in found.items()}


def row_counts(structures: Sequence[Structure], observables: Sequence[str]) -> list[int]:
    """How many rows of a fit each structure makes: one for every number of its labels."""
    known = Observable.among(observables)
    labels = [[one.label(s) for one in known] for s in structures]
    return [sum(len(label) for label in own if label is not None) for own in labels]


def reference_energies(
    structures: Sequence[Structure],
    symbols: Sequence[str],
    given: Mapping[str, float] | None,
    cutoff: float,
    shortest: Sequence[Mapping[str, float]] | None = None,
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
        shortest: `shortest_distances` of each structure to the cut-off or farther, where they
            are known.

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
    for index, structure in enumerate(structures):
        symbol = SYMBOLS[structure.numbers[0]]
        known = None if shortest is None else shortest[index]
        if structure.energy is None or symbol in given:
            continue
        if not is_isolated(structure, cutoff, known):
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
        fixed = [k for k, s in enumerate(symbols) if s not in missing]
        fitted = [k for k, s in enumerate(symbols) if s in missing]
        target = target - counts[:, fixed] @ [energies[symbols[k]] for k in fixed]
        atoms = counts.sum(axis=1)
        values = np.linalg.lstsq(counts[:, fitted] / atoms[:, None], target / atoms, rcond=None)[0]
        for k, value in zip(fitted, values, strict=True):
            occurs = counts[:, k].any()
            energies[symbols[k]] = float(value) if occurs else 0.0
            origin[symbols[k]] = "least squares" if occurs else "not in the training data"
    return {s: energies[s] for s in symbols}, {s: origin[s] for s in symbols}


def is_isolated(
    structure: Structure, cutoff: float, shortest: Mapping[str, float] | None = None
) -> bool:
    """Whether a structure is one atom with no neighbour or image within the cut-off."""
    if len(structure) > 1:
        return False
    found = shortest_distances(structure, cutoff) if shortest is None else shortest
    return all(distance >= cutoff for distance in found.values())
