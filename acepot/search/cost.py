"""What a model costs: CPU time of its calls, in turn with those of a reference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import numpy as np

from acepot.evaluate.native import NativeEvaluator
from acepot.structure import Structure
from acepot.tables import Tables

__all__ = ["Meter", "sample"]

#: Atoms of a call, calls in turn, and calls from which the time of the reference is taken.
_ATOMS, _ROUNDS, _FIRST = 1000, 9, 25
_MICRO = 1e6


def sample(structures: Sequence[Structure]) -> list[Structure]:
    """Structures from all over the data of about 1,000 atoms together, in which costs are taken."""
    several = [s for s in structures if len(s) > 1] or list(structures)
    count = max(1, round(_ATOMS * len(several) / sum(map(len, several))))
    chosen = np.linspace(0, len(several) - 1, min(count, len(several))).astype(int)
    found = [several[i] for i in chosen]
    repeats = max(1, round(_ATOMS / sum(map(len, found))))
    return found * repeats


class Meter:
    """µs of CPU time for an atom, of calls for energies, forces and virials on one thread.

    Another process makes everything slower by the same factor for a while: calls alternate with
    those of a reference, and the median of the ratios counts.

    Args:
        structures: of one call.
        reference: a model that is in turn with those that are measured.
        known: what the reference costs, where that was measured before; None: measured now.
    """

    def __init__(
        self, structures: Sequence[Structure], reference: Tables, known: float | None = None
    ) -> None:
        self._structures = list(structures)
        self._reference = NativeEvaluator(reference, 1)
        if known is None:
            known = min(self._called(self._reference) for _ in range(_FIRST))
        self.reference = known

    def cost(self, tables: Tables) -> float:
        """µs for an atom.

        Args:
            tables: of a model.
        """
        evaluator, ratios = NativeEvaluator(tables, 1), []
        self._called(evaluator)
        for _ in range(_ROUNDS):
            before = self._called(self._reference)
            ratios.append(self._called(evaluator) / before)
        return self.reference * median(ratios)

    def _called(self, evaluator: NativeEvaluator) -> float:
        began = time.process_time()
        evaluator.evaluate(self._structures)
        return _MICRO * (time.process_time() - began) / sum(map(len, self._structures))
