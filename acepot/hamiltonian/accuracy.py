"""How far a model's matrices are from those of a program, block by block and as levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.basis.species import SYMBOLS
from acepot.evaluate.protocol import Floats
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.families import matched
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.hamiltonian.spectrum import (
    Levels,
    Mesh,
    density_of_states,
    fermi_level,
    filled,
    levels,
)

#: Å within which blocks between atoms are also counted for themselves.
NEAR = 6.0
#: eV around the Fermi level within which levels and densities of states are compared.
WINDOW = (-10.0, 5.0)
#: eV: width of Gaussians, and distance of energies, of densities of states.
_WIDTH, _STEP = 0.1, 0.02


@dataclass(frozen=True)
class Error:
    """Errors of some numbers.

    Args:
        what: they are.
        count: of them.
        mae: mean absolute error, in meV (of overlaps in thousandths).
        rmse: root mean square, likewise.
    """

    what: str
    count: int
    mae: float
    rmse: float

    @classmethod
    def of(cls, what: str, differences: Sequence[Floats]) -> Error:
        """Of differences in eV."""
        every = np.concatenate([np.ravel(one) for one in differences]) * 1e3
        mae, rmse = np.abs(every).mean(), np.sqrt(np.mean(every**2))
        return cls(what, len(every), float(mae), float(rmse))


def block_errors(evaluator: HamiltonianEvaluator, snapshots: Sequence[Snapshot]) -> list[Error]:
    """Errors of the blocks that snapshots have.

    Args:
        evaluator: of the model.
        snapshots: to compare with.

    Returns:
        Of atoms with themselves, of bonds, of bonds within 6 Å, of overlaps, and of every pair
        of shells.
    """
    parts: dict[str, list[Floats]] = {}
    for snapshot in snapshots:
        found = evaluator.matrices(snapshot.structure)
        _gather(parts, snapshot.hamiltonian, found.hamiltonian[0])
        if snapshot.overlap is not None and found.overlap is not None:
            for pair, given in snapshot.overlap.pairs.items():
                made = matched(given.index, found.overlap.pairs[pair])
                parts.setdefault("S, all blocks", []).append(made - given.values)
    order = ["H, atoms", "H, bonds", f"H, bonds < {NEAR:g} Å", "S, all blocks"]
    names = [n for n in order if n in parts] + sorted(set(parts) - set(order))
    return [Error.of(name, parts[name]) for name in names]


def _gather(parts: dict[str, list[Floats]], given: OrbitalMatrix, found: OrbitalMatrix) -> None:
    """Add differences of all blocks, and of those of every two shells."""
    for pair, one in given.pairs.items():
        off = matched(one.index, found.pairs[pair]) - one.values
        own = one.onsite
        near = ~own & (np.linalg.norm(given.vectors(pair), axis=1) < NEAR)
        for name, chosen in (("atoms", own), ("bonds", ~own), (f"bonds < {NEAR:g} Å", near)):
            if chosen.any():
                parts.setdefault(f"H, {name}", []).append(off[chosen])
        if pair[0] > pair[1]:
            continue
        a, b = (given.orbitals.shells[SYMBOLS[z]] for z in pair)
        rows, columns = (given.orbitals.slices(z) for z in pair)
        for m, letter in enumerate(a):
            for n, other in enumerate(b):
                if pair[0] == pair[1] and m > n:
                    continue
                label = f"{SYMBOLS[pair[0]]} {letter}{m} – {SYMBOLS[pair[1]]} {other}{n}"
                for name, chosen in (("atoms", own), ("bonds", ~own)):
                    if chosen.any():
                        part = off[chosen][:, rows[m], columns[n]]
                        parts.setdefault(f"{label}, {name}", []).append(part)


@dataclass(frozen=True, eq=False)
class LevelErrors:
    """Levels of a model beside those of the program's own matrices.

    Args:
        name: of the structure.
        occupied: of levels below the Fermi level.
        window: of levels from 10 eV below it to 5 eV above.
        gap: of the model and of the program, eV.
        fermi: likewise.
        dos: ∫|DOS - DOS'| over the window, relative to ∫DOS'.
        difference: of every level, shape (nk, levels), eV.
        deviation: of every level by the members of the committee, likewise; None without one.
        within: which levels are in the window.
    """

    name: str
    occupied: Error
    window: Error
    gap: tuple[float, float]
    fermi: tuple[float, float]
    dos: float
    difference: Floats
    deviation: Floats | None
    within: np.ndarray


def level_errors(
    evaluator: HamiltonianEvaluator,
    snapshot: Snapshot,
    points: Mesh,
    electrons: float,
    temperature: float,
) -> LevelErrors:
    """Errors of levels, of the gap and of the density of states of one structure.

    Args:
        evaluator: of the model.
        snapshot: the program's matrices.
        points: k.
        electrons: in the cell.
        temperature: of the electrons in K.
    """
    found = evaluator.matrices(snapshot.structure)
    mine = levels(found.hamiltonian[0], found.overlap, points)
    true = levels(snapshot.hamiltonian, snapshot.overlap, points)
    fermi = fermi_level(true, electrons, temperature)
    difference = mine.energies - true.energies
    low, high = (fermi + edge for edge in WINDOW)
    within = (true.energies > low) & (true.energies < high)
    deviation = None
    if len(found.hamiltonian) > 1:
        members = [levels(one, found.overlap, points).energies for one in found.hamiltonian[1:]]
        deviation = np.sqrt(np.mean((np.array(members) - mine.energies) ** 2, axis=0))
    filling = [filled(one, electrons, temperature) for one in (mine, true)]
    return LevelErrors(
        snapshot.name, Error.of("occupied", [difference[true.energies < fermi]]),
        Error.of("window", [difference[within]]), (filling[0].gap, filling[1].gap),
        (filling[0].fermi, fermi), _dos_error(mine, true, low, high), difference, deviation, within,
    )  # fmt: skip


def _dos_error(mine: Levels, true: Levels, low: float, high: float) -> float:
    """The part of the area of the density of states that is elsewhere."""
    at = np.arange(low, high, _STEP)
    made, expected = (density_of_states(one, at, _WIDTH) for one in (mine, true))
    return float(np.abs(made - expected).sum() / expected.sum())


def in_window(errors: Sequence[LevelErrors]) -> tuple[list[Floats], list[Floats]]:
    """Errors of the levels in the window, and their deviations, in eV.

    Args:
        errors: of structures; those without deviations are left out.
    """
    known = [(one, one.deviation) for one in errors if one.deviation is not None]
    return [one.difference[one.within] for one, _ in known], [d[one.within] for one, d in known]
