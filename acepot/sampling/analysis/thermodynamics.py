"""Thermodynamics from weighted samples: one sum of Boltzmann factors a temperature.

All of it is relative to the prior, whose integral is one: G = -kT ln Z and S = (<H> - G)/T are
those of the positions, less what only changes them by a function of T and N. Degrees of freedom
whose kinetic energy is not in H add `extra` kT/2 to the enthalpy and `extra` k/2 to C_p.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError
from acepot.sampling.analysis.samples import Samples
from acepot.sampling.analysis.weights import log_weights
from acepot.units import BOLTZMANN

__all__ = ["Curves", "Sums", "averages", "curves", "redrawn_curves"]

Floats = NDArray[np.float64]

#: Samples whose weight is e^-30 of the largest do not count, nor if they were e^10 times heavier.
_NEGLIGIBLE = 30.0


@dataclass(frozen=True, eq=False)
class Curves:
    """Thermodynamic functions at temperatures, each of shape (..., temperatures).

    Args:
        log_z: ln Z, the prior having the integral one.
        enthalpy: <H> + extra kT/2, eV.
        heat_capacity: C_p/k = var(H)/(kT)² + extra/2.
        volume: <V>, Å³.
        expansion: d ln<V>/dT = cov(H, V)/(k T² <V>), 1/K.
        gibbs: G = -kT ln Z, eV (the free energy F where the volume is fixed).
        entropy: S/k = (<H> - G)/kT.
        internal: U = enthalpy - P <V>, eV; nan where the pressure is not known.
    """

    log_z: Floats
    enthalpy: Floats
    heat_capacity: Floats
    volume: Floats
    expansion: Floats
    gibbs: Floats
    entropy: Floats
    internal: Floats

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the functions."""
        return tuple(one.name for one in fields(cls))

    @classmethod
    def stacked(cls, many: Sequence[Curves]) -> Curves:
        """Several of equal shapes along a new first axis."""
        return cls(*(np.array([getattr(one, name) for one in many]) for name in cls.names()))

    def over(self, how: Callable[[Floats], Floats]) -> Curves:
        """What a function makes of each of the arrays, such as a mean over the first axis."""
        return Curves(*(how(getattr(self, name)) for name in self.names()))


class Sums:
    """Boltzmann factors of samples at temperatures, ready to be summed with any weights.

    Args:
        samples: of a replica.
        temperatures: in K, shape (t,).
        boltzmann: k in eV/K.

    Raises:
        InputError: temperatures that are not above zero.
    """

    def __init__(
        self, samples: Samples, temperatures: ArrayLike, boltzmann: float = BOLTZMANN
    ) -> None:
        self.samples, self.boltzmann = samples, boltzmann
        self.temperatures = np.atleast_1d(np.asarray(temperatures, dtype=np.float64))
        good = np.isfinite(self.temperatures) & (self.temperatures > 0.0)
        if self.temperatures.ndim != 1 or not good.all():
            raise InputError(f"temperatures: expected numbers above 0 K, got {self.temperatures}")
        self.log_weights = log_weights(samples)
        self._windows = [self._window(one) for one in self.temperatures]

    def _window(self, temperature: float) -> tuple[slice, float]:
        """Which samples count, and the logarithm of the largest term."""
        terms = self.log_weights - self.samples.enthalpy / (self.boltzmann * temperature)
        top = float(terms.max())
        counting = np.flatnonzero(terms > top - _NEGLIGIBLE)
        return slice(int(counting[0]), int(counting[-1]) + 1), top

    def probabilities(self, index: int) -> tuple[slice, Floats]:
        """Canonical probabilities at a temperature.

        Args:
            index: of the temperature.

        Returns:
            Which samples count, and the probability of each of these.
        """
        where, terms, _ = self._terms(index)
        return where, terms / terms.sum()

    def _terms(self, index: int) -> tuple[slice, Floats, float]:
        where, top = self._windows[index]
        kt = self.boltzmann * self.temperatures[index]
        return where, np.exp(self.log_weights[where] - self.samples.enthalpy[where] / kt - top), top

    def curves(self, ratios: Floats | None = None) -> Curves:
        """The thermodynamic functions.

        Args:
            ratios: what to multiply the weights by, shape (r, m); None: by nothing.

        Returns:
            Of shape (t,), or (r, t).
        """
        h, v = self.samples.enthalpy, self.samples.volume
        rows = 1 if ratios is None else len(ratios)
        moments = np.empty((6, rows, len(self.temperatures)))  # ln Z <H> var(H) <V> cov(H, V) kT
        for index, temperature in enumerate(self.temperatures):
            where, terms, top = self._terms(index)
            base = float(terms @ h[where] / terms.sum())
            dh, inside = h[where] - base, v[where]
            factors = np.stack(
                [terms, terms * dh, terms * dh**2, terms * inside, terms * dh * inside]
            )
            if ratios is None:
                sums = factors.sum(axis=1)[:, None]
            else:
                sums = factors @ ratios[:, where].T
            mean_h, mean_v = sums[1] / sums[0], sums[3] / sums[0]
            moments[:, :, index] = (
                np.log(sums[0]) + top,
                base + mean_h,
                sums[2] / sums[0] - mean_h**2,
                mean_v,
                sums[4] / sums[0] - mean_h * mean_v,
                np.full(rows, self.boltzmann * temperature),
            )
        return self._functions(moments[:, 0] if ratios is None else moments)

    def _functions(self, moments: Floats) -> Curves:
        log_z, mean_h, var_h, mean_v, cov, kt = moments
        enthalpy = mean_h + 0.5 * self.samples.extra * kt
        pressure = np.nan if self.samples.pressure is None else self.samples.pressure
        return Curves(
            log_z=log_z,
            enthalpy=enthalpy,
            heat_capacity=var_h / kt**2 + 0.5 * self.samples.extra,
            volume=mean_v,
            expansion=cov / (kt * self.temperatures * mean_v),
            gibbs=-kt * log_z,
            entropy=mean_h / kt + log_z,
            internal=enthalpy - pressure * mean_v,
        )


def curves(samples: Samples, temperatures: ArrayLike, boltzmann: float = BOLTZMANN) -> Curves:
    """Thermodynamic functions of a replica, each of shape (t,).

    Args:
        samples: of the replica.
        temperatures: in K, shape (t,).
        boltzmann: k in eV/K; 1 for reduced units.

    Raises:
        InputError: temperatures that are not above zero.
    """
    return Sums(samples, temperatures, boltzmann).curves()


def redrawn_curves(sums: Sums, blocks: Iterable[Floats]) -> Curves:
    """Thermodynamic functions with redrawn weights, each of shape (draws, t).

    Args:
        sums: of a replica.
        blocks: of `weights.ratios`.
    """
    parts = [sums.curves(block) for block in blocks]
    return Curves(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Curves.names())
    )


def averages(
    sums: Sums,
    values: ArrayLike,
    rows: ArrayLike | None = None,
    blocks: Iterable[Floats] | None = None,
) -> Floats:
    """Canonical averages of any observable.

    The scatter among redraws is the error of values that are independent of each other. That of a
    function of H alone, known at some of the samples only, is somewhat smaller.

    Args:
        sums: of a replica.
        values: the observable at the samples, shape (m, ...), or at some of them.
        rows: which they are, evenly spaced among the culled ones, such as every hundredth;
            None: all.
        blocks: of `weights.ratios`, for averages with redrawn weights.

    Returns:
        Shape (t, ...), or (draws, t, ...) with redrawn weights; nan where none of the rows has
        any weight.

    Raises:
        InputError: other than one value a row, rows that are no samples.
    """
    table = np.asarray(values, dtype=np.float64)
    total = len(sums.samples.enthalpy)
    index = np.arange(total) if rows is None else np.asarray(rows)
    if index.shape != table.shape[:1]:
        raise InputError(f"values: expected {index.shape} rows, got shape {table.shape}")
    if len(index) == 0 or not (index.min() >= 0 and index.max() < total):
        raise InputError(f"rows: expected some of the {total} samples, got {index}")
    flat = table.reshape(len(index), -1)
    weights, enthalpy = sums.log_weights[index], sums.samples.enthalpy[index]

    def average(ratios: Floats) -> Floats:
        found = np.empty((len(ratios), len(sums.temperatures), flat.shape[1]))
        for at, temperature in enumerate(sums.temperatures):
            terms = weights - enthalpy / (sums.boltzmann * temperature)
            terms = ratios * np.exp(terms - terms.max())
            found[:, at] = terms @ flat / terms.sum(axis=1, keepdims=True)
        shaped: Floats = found.reshape(len(ratios), len(sums.temperatures), *table.shape[1:])
        return shaped

    if blocks is None:
        mean: Floats = average(np.ones((1, len(index))))[0]
        return mean
    return np.concatenate([average(block[:, index]) for block in blocks])
