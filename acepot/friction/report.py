"""What a fit of friction is worth: numbers as JSON, and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.friction.data import FrictionData
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.fit import Errors, FrictionFit
from acepot.io.files import replaced
from acepot.model import FrictionModel
from acepot.run.figure import picture
from acepot.structure import Structure

__all__ = ["draw_kernels", "draw_parity", "kernel", "report", "write_report"]

#: Points of a curve, and of a cloud.
_CURVE, _CLOUD = 200, 20_000


def report(fit: FrictionFit, errors: dict[str, Errors]) -> dict[str, Any]:
    """Restarts, channels and errors as plain values.

    Args:
        fit: as `fit_friction` returns it.
        errors: by the name of the data.
    """
    return {
        "channels": list(fit.channels),
        "restarts": [asdict(one) for one in fit.restarts],
        "errors": {name: asdict(one) for name, one in errors.items()},
    }


def write_report(path: Path, told: dict[str, Any]) -> None:
    """Write plain values as JSON."""
    with replaced(path) as file:
        file.write(json.dumps(told, indent=1) + "\n")


def kernel(
    evaluator: FrictionEvaluator, first: str, second: str, distances: Floats
) -> tuple[Floats, Floats]:
    """Friction of two atoms alone along and across their bond, in amu/fs.

    Args:
        evaluator: of the model.
        first: element of one.
        second: element of the other.
        distances: in Å, shape (n,).

    Returns:
        -d̂ᵀ Γ_12 d̂ and the mean of it across, each shape (n,).
    """
    numbers = [atomic_number(first), atomic_number(second)]
    blocks = [
        -evaluator.gamma(Structure(numbers, [[0, 0, 0], [0, 0, r]]))[:3, 3:]
        for r in distances.tolist()
    ]
    found = np.array(blocks)
    return found[:, 2, 2], (found[:, 0, 0] + found[:, 1, 1]) / 2


def draw_kernels(
    path: Path, model: FrictionModel, data: Sequence[FrictionData], shortest: float
) -> None:
    """Friction of two atoms against their distance, by pair of elements, with the data beside.

    Args:
        path: of the PNG.
        model: of friction.
        data: whose blocks between atoms are drawn as points.
        shortest: where curves begin, in Å.
    """
    reach = [part.bonds.bonds.cutoff for part in model.parts if part.bonds is not None]
    longest = max((max(r.values()) for r in reach if isinstance(r, dict)), default=0.0)
    if not longest > shortest:
        raise InputError("kernels: this friction has no bonds")
    evaluator = FrictionEvaluator(model)
    symbols = [SYMBOLS[z] for z in model.numbers]
    distances = np.linspace(shortest, longest, _CURVE)
    with picture(path, 5.0, 3.4) as figure:
        axes = figure.subplots()
        r, g = _of_data(data, longest)
        if len(r):
            axes.plot(r, g, ".", ms=2, color="#bbbbbb", label="data", rasterized=True)
        for a, first in enumerate(symbols):
            for second in symbols[a:]:
                along, across = kernel(evaluator, first, second, distances)
                (line,) = axes.plot(distances, along, lw=1.2, label=f"{first}–{second} along")
                if np.abs(across).max() > 1e-9 * max(np.abs(along).max(), 1e-300):
                    axes.plot(distances, across, "--", lw=1.0, color=line.get_color(),
                              label=f"{first}–{second} across")  # fmt: skip
        axes.set_xlabel("distance (Å)")
        axes.set_ylabel("friction between two atoms (amu/fs)")
        axes.legend()
        figure.tight_layout()


def _of_data(data: Sequence[FrictionData], longest: float) -> tuple[Floats, Floats]:
    """Distances of pairs of atoms and -d̂ᵀ Γ_ij d̂, nearest images."""
    r, g = [np.zeros(0)], [np.zeros(0)]
    for one in data:
        place = one.structure.positions[one.atoms]
        i, j = np.triu_indices(len(place), 1)
        d = place[j] - place[i]
        if one.structure.pbc.all():
            d = d - np.round(d @ np.linalg.inv(one.structure.cell)) @ one.structure.cell
        size = np.linalg.norm(d, axis=1)
        blocks = one.gamma.reshape(len(place), 3, -1, 3)[i, :, j]
        near = size < longest
        unit = d[near] / size[near][:, None]
        r.append(size[near])
        g.append(-np.einsum("px,pxy,py->p", unit, blocks[near], unit))
    return np.concatenate(r)[:_CLOUD], np.concatenate(g)[:_CLOUD]


def draw_parity(path: Path, model: FrictionModel, data: Sequence[FrictionData]) -> None:
    """Numbers of Γ, and its eigenvalues, predicted against given.

    Args:
        path: of the PNG.
        model: of friction.
        data: what it is compared with.
    """
    evaluator = FrictionEvaluator(model)
    given, found, spectra = [], [], []
    for one in data:
        predicted = one.of(evaluator.gamma(one.structure))
        known = one.mask > 0
        given.append(one.gamma[known])
        found.append(predicted[known])
        if known.all():
            spectra.append((np.linalg.eigvalsh(one.gamma), np.linalg.eigvalsh(predicted)))
    x, y = np.abs(np.concatenate(given)), np.abs(np.concatenate(found))
    with picture(path, 7.0, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        least = max(1e-8 * x.max(initial=1e-300), 1e-300)
        left.plot(x[x > least], np.maximum(y[x > least], least), ".", ms=2, rasterized=True)
        left.plot([least, x.max()], [least, x.max()], color="#333333", lw=0.7)
        left.set(xscale="log", yscale="log", xlabel="|Γ| given (amu/fs)", ylabel="|Γ| predicted")
        for true, model_ones in spectra[:20]:
            right.plot(true, model_ones, ".", ms=3)
        right.set(xlabel="eigenvalues given (amu/fs)", ylabel="eigenvalues predicted")
        figure.tight_layout()
