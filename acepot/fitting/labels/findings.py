"""What is found about labels: sentences, and whether a fit can go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.structure import Structure

__all__ = ["Finding", "named", "strange", "wrong"]

#: Structures that a sentence names.
_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """Something about the labels.

    Args:
        text: a sentence with the structures, and what to do.
        wrong: whether it cannot be right, so that the fit stops.
    """

    text: str
    wrong: bool = False


def wrong(text: str) -> Finding:
    """Labels that cannot be right."""
    return Finding(text, wrong=True)


def strange(text: str) -> Finding:
    """Labels that may be right."""
    return Finding(text)


def named(structures: Sequence[Structure]) -> str:
    """Structures by name, the first few of many.

    Their config types follow in parentheses, if they are not the default.
    """
    first = [
        (one.name or f"a structure of {len(one)} atoms")
        + (f" ({one.config_type})" if one.config_type != "default" else "")
        for one in structures[:_NAMED]
    ]
    more = len(structures) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def largest_force(structure: Structure) -> float:
    """The largest force on an atom in eV/Å; 0 without forces."""
    if structure.forces is None:
        return 0.0
    return float(np.linalg.norm(structure.forces, axis=1).max())
