"""Culled configurations that a run has kept, and those that stand for a temperature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.structures.extxyz import read
from acepot.io.structures.labels import LabelKeys
from acepot.sampling.analysis.samples import Samples
from acepot.sampling.analysis.thermodynamics import Sums
from acepot.structure import Structure

__all__ = ["Frames", "chosen", "read_frames"]

_KEYS = LabelKeys(others={"enthalpy": "enthalpy"}, ignore=("energy", "forces", "stress", "virial"))
#: Enthalpies in two files are the same up to this part of them: both have all digits.
_SAME = 1e-10


@dataclass(frozen=True, eq=False)
class Frames:
    """Configurations and the rows of the samples that they are.

    Args:
        structures: the configurations.
        rows: of `Samples.enthalpy`, shape (frames,).
    """

    structures: tuple[Structure, ...]
    rows: NDArray[np.int64]


def read_frames(path: str | Path, samples: Samples) -> Frames:
    """Read culled configurations, which are found among the samples by their enthalpy.

    Args:
        path: extended XYZ with `enthalpy` (eV) in the comments.
        samples: of the replica.

    Raises:
        InputError: no such file, damaged, or a configuration that the samples do not have.
    """
    structures, _ = read(path, _KEYS)
    enthalpy = np.array([float(one.labels["enthalpy"]) for one in structures])
    culled = -samples.enthalpy[: samples.culled]  # rising
    after = np.clip(np.searchsorted(culled, -enthalpy), 1, len(culled) - 1)
    nearer = abs(culled[after - 1] + enthalpy) < abs(culled[after] + enthalpy)
    rows = after - nearer
    same = abs(culled[rows] + enthalpy) <= _SAME * np.maximum(1.0, abs(enthalpy))
    if not same.all():
        one = structures[int(np.argmin(same))]
        raise InputError(
            f"{path}: {one.name}: expected the enthalpy of a culled configuration of "
            f"{samples.name}, got {float(one.labels['enthalpy'])!r} eV"
        )
    return Frames(tuple(structures), rows.astype(np.int64))


def chosen(frames: Frames, sums: Sums, index: int, count: int) -> list[tuple[Structure, float]]:
    """Configurations that stand for a temperature.

    Systematic resampling: as many shares of one, evenly spaced along the cumulative canonical
    weights of all frames, and none for those that no share falls to.

    Args:
        frames: of a replica, evenly spaced in its iterations.
        sums: of its samples at temperatures.
        index: of the temperature.
        count: of shares.

    Returns:
        Configurations and their shares, which add up to one.
    """
    kt = sums.boltzmann * sums.temperatures[index]
    terms = sums.log_weights[frames.rows] - sums.samples.enthalpy[frames.rows] / kt
    below = np.cumsum(np.exp(terms - terms.max()))
    marks = (np.arange(count) + 0.5) / count * below[-1]
    places, shares = np.unique(np.searchsorted(below, marks), return_counts=True)
    return [
        (frames.structures[int(at)], float(share) / count)
        for at, share in zip(places, shares, strict=True)
    ]
