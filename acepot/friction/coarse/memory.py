"""From the fluctuating force to friction: memory time, plateau, and Γ window by window.

    Γ = 1/(2 kT W) ∫_W dt ∫_{|s| < lag} ds sym ⟨δF(t) δF(t + s)ᵀ⟩,   δF = F - F̄(X) + Γ X'

with X taken to stand still for a window W. The bias of the finite lag falls like e^(-lag/τ_m).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.friction.coarse.trajectory import Beads
from acepot.friction.data import FrictionData
from acepot.units import AMU, BOLTZMANN

__all__ = ["Times", "Windows", "plateau", "times_of"]

#: Most frames of a correlation function.
_FRAMES = 4000


@dataclass(frozen=True)
class Times:
    """How memory and relaxation are apart.

    Args:
        memory: of the fluctuating force in fs: its correlation, summed up, over that at 0.
        relaxation: of velocities in fs: where their correlation is 1/e.
    """

    memory: float
    relaxation: float

    @property
    def separation(self) -> float:
        """Relaxation over memory."""
        return self.relaxation / self.memory


def correlation(values: Floats, most: int) -> Floats:
    """⟨a(0)·a(t)⟩ of a trajectory (frames, …) for up to so many frames."""
    flat = values.reshape(len(values), -1)
    size = 2 * len(flat)
    power = np.abs(np.fft.rfft(flat, size, axis=0)) ** 2
    sums = np.fft.irfft(power.sum(axis=1), size)[: min(most, len(flat))]
    return np.asarray(sums / (len(flat) - np.arange(len(sums))) / flat.shape[1])


def times_of(beads: Sequence[Beads], fluctuating: Sequence[Floats], interval: float) -> Times:
    """Memory and relaxation times.

    Args:
        beads: trajectories.
        fluctuating: δF of each in eV/Å, shape (frames, n, 3).
        interval: fs between frames.
    """
    shortest = min(min(len(one) for one in beads), _FRAMES)
    force = np.mean([correlation(f, shortest) for f in fluctuating], axis=0)
    motion = np.mean([correlation(one.velocities(interval), shortest) for one in beads], axis=0)
    ended = np.flatnonzero(force < 0.05 * force[0])  # then only noise and slow rests are left
    last = int(ended[0]) if len(ended) else len(force)
    memory = interval * (force[:last].sum() - 0.5 * force[0]) / force[0]
    fallen = np.flatnonzero(motion < motion[0] / np.e)
    if not len(fallen):  # longer than the trajectories: by the slope
        half = motion[-1] / motion[0]
        relaxation = -interval * (len(motion) - 1) / np.log(max(half, 1e-6)) if half < 1 else np.inf
    else:
        relaxation = interval * float(fallen[0])
    return Times(max(float(memory), 0.5 * interval), float(relaxation))


def plateau(
    fluctuating: Sequence[Floats], interval: float, kelvin: float, lags: int
) -> tuple[Floats, Floats]:
    """Mean friction of one coordinate against the lag, in amu/fs: ∫_0^t ⟨δF δF⟩ / kT.

    Args:
        fluctuating: δF of each trajectory in eV/Å, shape (frames, n, 3).
        interval: fs between frames.
        kelvin: temperature in K.
        lags: how many.

    Returns:
        Lags in fs and friction, each shape (lags,).
    """
    force = np.mean([correlation(f, lags) for f in fluctuating], axis=0)
    sums = interval * (np.cumsum(force) - 0.5 * (force + force[0]))
    return interval * np.arange(float(len(force))), np.asarray(sums / (BOLTZMANN * kelvin) / AMU)


class Windows(Sequence[FrictionData]):
    """Γ of every window of trajectories: unbiased, as noisy as windows are short.

    Args:
        beads: trajectories.
        fluctuating: δF of each in eV/Å, shape (frames, n, 3).
        interval: fs between frames.
        kelvin: temperature in K.
        lag: frames.
        window: frames.

    Raises:
        InputError: trajectories that are shorter than a window with its lags.
    """

    def __init__(
        self,
        beads: Sequence[Beads],
        fluctuating: Sequence[Floats],
        interval: float,
        kelvin: float,
        lag: int,
        window: int,
    ) -> None:
        self._beads, self._interval, self._kt = beads, interval, BOLTZMANN * kelvin
        self._lag, self._window = lag, window
        self._force = [f.reshape(len(f), -1) for f in fluctuating]
        self._sums = [np.cumsum(np.pad(f, ((1, 0), (0, 0))), axis=0) for f in self._force]
        self._at = [
            (k, start)
            for k, one in enumerate(beads)
            for start in range(lag, len(one) - lag - window + 1, window)
        ]
        if not self._at:
            raise InputError(
                f"fine: trajectories of {max(len(one) for one in beads)} frames are shorter than a "
                f"window of {window} and two lags of {lag}; make them longer or these shorter"
            )

    def __len__(self) -> int:
        """How many windows."""
        return len(self._at)

    @overload
    def __getitem__(self, number: int) -> FrictionData: ...
    @overload
    def __getitem__(self, number: slice) -> list[FrictionData]: ...
    def __getitem__(self, number: int | slice) -> FrictionData | list[FrictionData]:
        """Γ of a window, in amu/fs, at the positions in its middle."""
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        k, start = self._at[number]
        frames = np.arange(start, start + self._window)
        force = self._force[k][frames]
        summed = self._sums[k][frames + self._lag + 1] - self._sums[k][frames - self._lag]
        product = force.T @ summed * (self._interval / self._window / (2 * self._kt) / AMU)
        structure = self._beads[k].structure(start + self._window // 2)
        gamma = (product + product.T) / 2
        return FrictionData(structure, gamma, np.arange(len(structure)))

    def __iter__(self) -> Iterator[FrictionData]:
        """One window after the other."""
        return (self[k] for k in range(len(self)))
