"""A structure to be labelled, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import AceError, InputError
from acepot.structure import Structure

__all__ = ["Labelled", "ReferenceError", "labelled", "request"]


class ReferenceError(AceError, RuntimeError):
    """A reference calculation that gave nothing, or nothing that can be right."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """What a reference calculation gave.

    Args:
        structure: with labels; without them where there is an error.
        error: what went wrong; empty: nothing.
    """

    structure: Structure
    error: str = ""


def request(structure: Structure) -> dict[str, Any]:
    """The atoms of a structure as plain lists, which JSON can hold without loss."""
    return {
        "numbers": structure.numbers.tolist(),
        "positions": structure.positions.tolist(),
        "cell": structure.cell.tolist(),
        "pbc": structure.pbc.tolist(),
    }


def labelled(structure: Structure, answer: Mapping[str, Any], most: float, e0: float) -> Labelled:
    """The structure with the labels of an answer, if they can be right.

    Args:
        structure: that was asked for.
        answer: energy in eV, forces in eV/Å and, of periodic structures, stress = -W/V in eV/Å³ as
            rows of a matrix; or error.
        most: how far the energy may be from that of free atoms, in eV per atom.
        e0: the energy of the free atoms in eV.
    """
    if "error" in answer:
        return Labelled(structure, str(answer["error"]))
    try:
        energy, forces = float(answer["energy"]), _numbers(answer["forces"])
        stress = answer.get("stress")
        virial = None if stress is None else -structure.volume * _numbers(stress)
        found = structure.labelled(energy=energy, forces=forces, virial=virial)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            return Labelled(structure, f"the reference gave no usable labels: {error}")
        return Labelled(structure, f"the reference gave no usable labels: {error!r}")
    apart = (energy - e0) / len(structure)
    if abs(apart) > most:
        return Labelled(
            structure,
            f"the reference gave {energy:.6g} eV, {apart:.4g} eV per atom from free atoms; "
            f"expected at most {most:g} (reference.energy_limit)",
        )
    return Labelled(found)


def _numbers(value: object) -> NDArray[np.float64]:
    return np.asarray(value, dtype=float)
