"""How strong the bias is: τ from running means of what the model and its uncertainty pull with.

    τ = τ_rel ⟨|F|⟩ / ⟨|dσ/dr|⟩

so that the forces of the bias are the part τ_rel of those of the model, averaged over atoms and
exponentially over the last `history` measurements (van der Oord et al., npj Comput. Mater. 9, 168
(2023)). Where the model is sure everywhere, ⟨|dσ/dr|⟩ is next to nothing and τ would have no bound;
it is then at most `maximum`, and 0 before `warm_up` measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acepot.errors import InputError
from acepot.hal.surface import Measured
from acepot.hal.walker import Walker

__all__ = ["Bias"]


@dataclass(frozen=True)
class Bias:
    """How τ is found.

    Args:
        strength: τ_rel, the bias in parts of the model's forces; 0: none.
        strength_end: at the end of a walk, to which it changes linearly; None: it stays.
        history: measurements in the running means.
        warm_up: measurements before the bias begins.
        maximum: largest τ.
        exact_up_to: basis functions up to which σ is exact; with more it is that of a committee.
        members: of that committee.
    """

    strength: float = 0.2
    strength_end: float | None = None
    history: int = 10
    warm_up: int = 5
    maximum: float = 1e3
    exact_up_to: int = 3000
    members: int = 32

    def __post_init__(self) -> None:
        for name in ("strength", "strength_end", "maximum"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1e6:
                raise InputError(f"{name}: expected 0 to 1e6, got {value:g}")
        for name, least in (("history", 1), ("warm_up", 0), ("exact_up_to", 0), ("members", 2)):
            if not least <= (count := getattr(self, name)) <= 1_000_000:
                raise InputError(f"{name}: expected {least} to 1000000, got {count}")

    def at(self, part: float) -> float:
        """τ_rel at a part of the walk, 0 to 1."""
        end = self.strength if self.strength_end is None else self.strength_end
        return self.strength + part * (end - self.strength)

    def adapt(self, walker: Walker, measured: Measured, part: float) -> None:
        """Take a measurement into the means of a walker, and set its τ.

        Args:
            walker: is changed.
            measured: forces of the model and the gradient of σ.
            part: of the walk that lies behind, 0 to 1.
        """
        pull = float(np.linalg.norm(measured.forces, axis=1).mean())
        push = float(np.linalg.norm(measured.push, axis=1).mean())
        walker.measured += 1
        weight = 1.0 / min(walker.measured, self.history)
        walker.pull += weight * (pull - walker.pull)
        walker.push += weight * (push - walker.push)
        if walker.measured <= self.warm_up:
            walker.tau = 0.0
            return
        wanted = self.at(part) * walker.pull
        walker.tau = wanted / walker.push if wanted < self.maximum * walker.push else self.maximum
        if wanted == 0.0:
            walker.tau = 0.0
