"""Standard deviations and intervals that hold on data that were not fitted.

The σ of a posterior says how well the data determine the coefficients; what the functions cannot
describe is not in it. It tells well, though, where errors are large. So it is scaled on predictions
of structures that were not in the fit, by observable and group:

    σ' = α √(σ² + σ₀²)          variance scaling: α and σ₀ of largest likelihood
    interval at level p: ± z_p σ'       z_p: conformal, the quantile (n + 1) p of |error|/σ'

With the n errors of calibration exchangeable with those to come, an interval holds with probability
p whatever their distribution (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World
(2005); for the scaled score, Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018), 5.2). Quantiles are
interpolated, so that they hold on average at p, not above. Values are per atom where they grow with
the number of atoms. Forces and stresses that symmetry fixes, whatever the coefficients, do not
count: they are right in any case, and a group of perfect crystals would have nothing but these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.fitting.observables import Observable
from acepot.schema import Settings, from_mapping, to_mapping
from acepot.uncertainty.predictions import Prediction

__all__ = ["ALL", "LEVELS", "Calibration", "Scaling", "Values", "calibrate", "gathered"]

Floats = NDArray[np.float64]
#: Levels of intervals: those people state, and others for the picture.
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.68, 0.8, 0.9, 0.95)
#: The group of all structures.
ALL = "all"
#: Fewest values of an observable: 19 for the highest level. Fewest structures of a group with a
#: scaling of its own: a quantile of so many is off by a point at most on average.
_VALUES, _FRAMES = 20, 100
#: σ below this part of the root mean square is that of a value which symmetry fixes.
_FIXED = 1e-5
#: σ₀ is looked for among these parts of the root mean square of σ.
_FLOORS = np.concatenate(([1e-6], np.logspace(-3, 1.5, 46)))
#: Root mean square of errors below which there is nothing to scale, in eV and eV/Å.
_EXACT = 1e-12


@dataclass(frozen=True)
class Scaling(Settings):
    """How σ of one observable is made to hold in one group.

    Args:
        scale: α.
        floor: σ₀ in eV/atom or eV/Å.
        quantiles: z_p of each of `LEVELS`.
        values: numbers it was found from.
        frames: structures they are of.
    """

    scale: float
    floor: float
    quantiles: tuple[float, ...]
    values: int
    frames: int

    def check(self) -> None:
        """Numbers that can be: provenance may hold anything."""
        numbers = (self.scale, self.floor, *self.quantiles)
        if len(self.quantiles) != len(LEVELS) or not all(0 <= x < np.inf for x in numbers):
            raise InputError(
                f"quantiles: expected {len(LEVELS)} finite numbers of 0 or more, scale and floor "
                f"likewise, got {numbers}"
            )

    def sigma(self, posterior: Floats) -> Floats:
        """σ' of values whose posterior has these σ, in eV/atom or eV/Å."""
        return np.asarray(self.scale * np.sqrt(posterior**2 + self.floor**2))

    def interval(self, posterior: Floats, level: float) -> Floats:
        """Half widths of the intervals at a level, between those in `LEVELS` interpolated.

        Raises:
            InputError: a level outside them.
        """
        if not LEVELS[0] <= level <= LEVELS[-1]:
            raise InputError(f"level: expected {LEVELS[0]} to {LEVELS[-1]}, got {level}")
        return np.asarray(np.interp(level, LEVELS, self.quantiles) * self.sigma(posterior))


@dataclass(frozen=True)
class Calibration(Settings):
    """Scalings by group, then by name of the observable.

    Args:
        groups: "all", and each group with enough structures of its own.
    """

    groups: dict[str, dict[str, Scaling]]

    def check(self) -> None:
        """There must be one for structures of any group."""
        if not self.groups.get(ALL):
            raise InputError(f"groups: expected {ALL!r}, with one observable or more")

    def of(self, observable: str, group: str = ALL) -> Scaling | None:
        """The scaling of an observable in a group, or of all data where it has none of its own.

        Args:
            observable: its name.
            group: the config type of a structure; any other means all data.

        Returns:
            None where the observable had too few values to be calibrated.
        """
        own = self.groups.get(group, {}).get(observable)
        return own or self.groups[ALL].get(observable)

    def mapping(self) -> dict[str, Any]:
        """What the provenance of a model keeps, plain values that JSON can hold."""
        return to_mapping(self)

    @staticmethod
    def from_provenance(provenance: Mapping[str, Any]) -> Calibration:
        """The calibration that a model keeps.

        Args:
            provenance: of the model.

        Raises:
            InputError: there is none, or it is damaged.
        """
        stored = provenance.get("calibration")
        if not isinstance(stored, Mapping):
            raise InputError(
                "calibration: this model has none; fit it again with committee.calibrate = true"
            )
        return from_mapping(Calibration, stored, "provenance.calibration")


@dataclass(frozen=True, eq=False)
class Values:
    """Errors of one observable over several structures, per atom where it is extensive.

    Args:
        observable: which.
        errors: shape (m,).
        sigmas: σ of the posterior, shape (m,).
        groups: the config type of each, shape (m,).
        frames: number of the structure of each, shape (m,).
    """

    observable: Observable
    errors: Floats
    sigmas: Floats
    groups: NDArray[np.str_]
    frames: NDArray[np.int64]

    def among(self, group: str) -> Values:
        """Those of one group."""
        if group == ALL:
            return self
        return self.where(self.groups == group)

    def where(self, own: NDArray[np.bool_]) -> Values:
        """Some of them."""
        return Values(
            self.observable, self.errors[own], self.sigmas[own], self.groups[own], self.frames[own]
        )

    @property
    def free(self) -> Values:
        """Those that no symmetry fixes."""
        return self.where(self.sigmas > self.least)

    @property
    def least(self) -> float:
        """σ up to which a value is fixed."""
        return _FIXED * float(np.sqrt(np.mean(self.sigmas**2))) if len(self.sigmas) else 0.0

    @property
    def structures(self) -> int:
        """How many structures they are of."""
        return len(np.unique(self.frames))


def gathered(predictions: Sequence[Prediction]) -> list[Values]:
    """Errors and σ of all structures by observable, of those that have labels."""
    found = []
    for one in Observable.known.values():
        own = [(k, p) for k, p in enumerate(predictions) if one.name in p.errors]
        if not own:
            continue
        sizes = [len(p.errors[one.name]) for _, p in own]
        found.append(
            Values(
                one,
                np.concatenate(
                    [one.per_unit(p.errors[one.name], len(p.structure)) for _, p in own]
                ),
                np.concatenate(
                    [one.per_unit(p.sigmas[one.name], len(p.structure)) for _, p in own]
                ),
                np.repeat([p.structure.config_type for _, p in own], sizes),
                np.repeat([k for k, _ in own], sizes),
            )
        )
    return found


def calibrate(predictions: Sequence[Prediction], frames: int = _FRAMES) -> Calibration:
    """Scale σ by predictions of structures that were not in the fit.

    Observables with fewer than 20 values are left out. Groups are config types; one with few
    structures has the scaling of all data.

    Args:
        predictions: of `without_frame`, or of held-out structures.
        frames: structures from which a group has a scaling of its own, 20 or more.

    Raises:
        InputError: fewer frames than that; no observable has enough values.
    """
    if frames < _VALUES:
        raise InputError(f"frames: expected {_VALUES} or more, got {frames}")
    groups: dict[str, dict[str, Scaling]] = {ALL: {}}
    for values in (every.free for every in gathered(predictions)):
        if len(values.errors) < _VALUES:
            continue
        groups[ALL][values.observable.name] = _scaling(values)
        for group in dict.fromkeys(values.groups.tolist()):
            own = values.among(group)
            if own.structures >= frames and group != ALL:
                groups.setdefault(group, {})[values.observable.name] = _scaling(own)
    if not groups[ALL]:
        raise InputError(
            f"calibration: expected {_VALUES} or more labels of energies, forces or virials, got "
            f"{max((len(v.errors) for v in gathered(predictions)), default=0)}"
        )
    return Calibration(groups)


def _scaling(values: Values) -> Scaling:
    """α, σ₀ and quantiles of one observable in one group.

    For errors ~ N(0, α²(σ² + σ₀²)) the best α² is the mean of e²/(σ² + σ₀²); σ₀ is searched.
    """
    errors, sigmas = np.abs(values.errors), values.sigmas
    rms = float(np.sqrt(np.mean(sigmas**2)))
    if np.sqrt(np.mean(errors**2)) < _EXACT:
        floor = rms
    else:
        floor = rms * min(_FLOORS, key=lambda part: _deviance(errors, sigmas, rms * part))
    widths = np.sqrt(sigmas**2 + floor**2)
    scale = max(float(np.sqrt(np.mean((errors / widths) ** 2))), _EXACT)
    # Type 6 of Hyndman and Fan: the p-quantile of n values is number (n + 1) p of them.
    quantiles = np.quantile(errors / (scale * widths), LEVELS, method="weibull")
    return Scaling(scale, float(floor), tuple(quantiles.tolist()), len(errors), values.structures)


def _deviance(errors: Floats, sigmas: Floats, floor: float) -> float:
    """-log likelihood at the best α, per value, less what is constant."""
    widths = np.sqrt(sigmas**2 + floor**2)
    return float(np.log(np.mean((errors / widths) ** 2)) / 2 + np.mean(np.log(widths)))
