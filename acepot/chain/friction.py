"""The level of friction: its errors on tensors it has not seen, and kT/γ of the crystal's atoms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.chain.level import Contribution, Level, Place, Quantity, judged
from acepot.chain.settings import FrictionLevel
from acepot.errors import InputError
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.readers import read_friction
from acepot.io.registry import load
from acepot.model import FrictionModel
from acepot.run.folder import digest
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN

__all__ = ["friction_level"]

Floats = NDArray[np.float64]
NAME, FILE = "friction", "friction.json"
#: Relative change of lengths of slopes by the size of the cell.
_STEP = 0.005


def friction_level(
    settings: FrictionLevel, place: Place, folder: Path, say: Callable[[str], None]
) -> Level:
    """Errors of the friction of atoms on held-out structures, and kT/γ in the crystal.

    Leaves friction.json.

    Args:
        settings: of the level.
        place: the crystal.
        folder: of the report.
        say: takes lines for people.

    Raises:
        InputError: files that cannot be read, or fewer than two tensors to be judged by.
    """
    evaluator = FrictionEvaluator(load(settings.model, FrictionModel))
    test = [
        one for name in settings.test for one in read_friction(name, unit=settings.unit, say=say)
    ]
    if len(test) < 2:
        raise InputError(f"friction.test: expected two tensors or more, got {len(test)}")
    say(f"friction: {len(test)} tensors that were not fitted")
    errors, sizes = [], []
    for one in test:
        known = one.mask.diagonal()[::3] > 0
        given = _of_atoms(one.gamma)[known]
        errors.append(_of_atoms(one.of(evaluator.gamma(one.structure)))[known] - given)
        sizes.append(given)
    mean = float(np.concatenate(sizes).mean())
    sigmas = [np.full(len(e), mean) for e in errors]
    told = judged("friction of atoms", "amu/fs", errors, sigmas)
    kt = BOLTZMANN * settings.temperature / AMU  # Å² amu/fs²
    made = []
    mine = _by_element(evaluator, place.structure)
    sides = {by: _by_element(evaluator, place.scaled(by)) for by in (1 - _STEP, 1 + _STEP)}
    for name, gamma in mine.items():
        if not gamma > 0:
            continue
        key = f"quantities[kT/γ {name}]"
        own = Contribution(
            NAME, kt / gamma**2 * told.rmse, "the error of the friction of atoms, held out", FILE,
            f"{key}.contributions[0].sigma",
        )  # fmt: skip
        size = place.along({by: kt / one[name] for by, one in sides.items()})
        made.append(
            Quantity(f"kT/γ {name}", kt / gamma, "Å²/fs", NAME, FILE, f"{key}.value", (own, *size))
        )
    files = {name: digest(name) for name in (settings.model, *settings.test)}
    level = Level(NAME, files, (told,), tuple(made))
    level.write(folder / FILE)
    return level


def _of_atoms(gamma: Floats) -> Floats:
    """A third of the trace of the block of every atom with itself, in amu/fs."""
    return np.asarray(gamma.diagonal().reshape(-1, 3).mean(axis=1))


def _by_element(evaluator: FrictionEvaluator, structure: Structure) -> dict[str, float]:
    """The mean over the atoms of each element."""
    values = _of_atoms(evaluator.gamma(structure))
    return {
        SYMBOLS[z]: float(values[structure.numbers == z].mean())
        for z in np.unique(structure.numbers).tolist()
    }
