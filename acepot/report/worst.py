"""Where a model errs most: the structures that somebody looks at first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.evaluate.protocol import Result
from acepot.fitting.observables import Evaluate, Observable
from acepot.structure import Structure

__all__ = ["worst"]


def worst(structures: Sequence[Structure], results: Sequence[Result], evaluate: Evaluate) -> str:
    """Name the structure with the largest error of each kind of label.

    One wrong label among thousands hardly shows in a mean, but nearly always here.

    Args:
        structures: with labels, which predictions can be compared with.
        results: predictions in the same order.
        evaluate: the model that made them, for what it says about further structures.

    Returns:
        A line such as "largest errors: E 169 meV/atom (train.xyz frame 4), F 1234 meV/Å (train.xyz
        frame 6, atom 3)"; "" if fewer than two structures have labels.
    """
    found = []
    for one in Observable.known.values():
        sizes = [_sizes(one, s, r, evaluate) for s, r in zip(structures, results, strict=True)]
        labelled = [k for k, size in enumerate(sizes) if size.size]
        if len(labelled) < 2:
            continue
        k = max(labelled, key=lambda k: float(sizes[k].max()))
        where = structures[k].name or f"structure {k}"
        if one.name == "forces":
            where += f", atom {int(sizes[k].argmax()) // 3}"
        found.append(f"{one.letter} {1000 * float(sizes[k].max()):.4g} m{one.unit} ({where})")
    return f"largest errors: {', '.join(found)}" if found else ""


def _sizes(
    one: Observable, structure: Structure, result: Result, evaluate: Evaluate
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Sizes of the errors of a structure as tables give them; none without a label."""
    label = one.label(structure)
    if label is None:
        return np.zeros(0)
    error = np.asarray(one.predicted(structure, result, evaluate) - label)
    flat = one.flat(error) if error.shape == one.shape(len(structure)) else error
    return np.abs(one.per_unit(flat, len(structure))).ravel()
