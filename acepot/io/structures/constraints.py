"""Which atoms a file holds fixed: constraints of ASE, and the column move_mask of extended XYZ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError

__all__ = ["MOVE_MASK", "column_of", "of_atoms", "of_words"]

#: Column of extended XYZ: T where an atom moves, one for each atom or one for each direction.
MOVE_MASK = "move_mask"
_LOGICAL = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
#: Constraints of ASE that hold positions; POSCAR's selective dynamics become these.
_HOLD = ("FixAtoms", "FixCartesian", "FixScaled")


def of_atoms(atoms: Any) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """What the constraints of an ASE Atoms object hold.

    Args:
        atoms: the object; ASE itself is not imported.

    Returns:
        Directions in which atoms are held, shape (n, 3), None where none is; and the names of
        constraints that hold something else.
    """
    fixed = np.zeros((len(atoms.numbers), 3), dtype=bool)
    others: dict[str, None] = {}
    for constraint in getattr(atoms, "constraints", None) or ():
        name = type(constraint).__name__
        if name in _HOLD:
            mask = np.asarray(getattr(constraint, "mask", True), dtype=bool)
            fixed[np.asarray(constraint.index)] |= mask
        else:
            others[name] = None
    return (fixed if fixed.any() else None), tuple(others)


def of_words(rows: Sequence[Sequence[str]], where: str) -> NDArray[np.bool_] | None:
    """What a column move_mask holds.

    Args:
        rows: its words, one or three for each atom.
        where: file and frame, for messages.

    Returns:
        Directions in which atoms are held, shape (n, 3); None where none is.

    Raises:
        InputError: words that are neither T nor F.
    """
    for row in rows:
        for word in row:
            if word.lower() not in _LOGICAL:
                raise InputError(f"{where}: {MOVE_MASK}: expected T or F, got {word[:60]!r}")
    moves = np.array([[_LOGICAL[word.lower()] for word in row] for row in rows])
    if moves.shape[1] not in (1, 3):
        raise InputError(f"{where}: {MOVE_MASK}: expected 1 or 3 columns, got {moves.shape[1]}")
    fixed = np.repeat(~moves, 3 // moves.shape[1], axis=1)
    return fixed if fixed.any() else None


def column_of(fixed: NDArray[np.bool_]) -> tuple[str, list[str]]:
    """A column move_mask: its entry in Properties, and the words of each atom."""
    whole = bool((fixed.all(axis=1) == fixed.any(axis=1)).all())
    shown = fixed[:, :1] if whole else fixed
    rows = [" ".join("TF"[int(one)] for one in row) for row in shown]
    return f"{MOVE_MASK}:L:{shown.shape[1]}", rows
