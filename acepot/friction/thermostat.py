"""Friction and noise of a model as one step of any engine: momenta in, momenta out."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.friction import ou
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.sigma import Sigma
from acepot.model import FrictionModel
from acepot.structure import Structure
from acepot.units import AMU, BOLTZMANN

__all__ = ["FrictionThermostat", "StepKind", "StiffFrictionWarning"]

#: exact: by the singular values of Σ. cayley: by conjugate gradients. sweep: bond by bond. auto:
#: exact up to a size, cayley beyond it where it damps as it should, else sweep where that is
#: possible.
StepKind = Literal["auto", "exact", "cayley", "sweep"]
#: Atoms up to which singular values cost no more than the forces of common models.
_DENSE = 100
#: h times the largest rate up to which Cayley's step damps as the exact one, but for a few per cent
#: of the fastest.
_SOFT = 1.0


class StiffFrictionWarning(UserWarning):
    """A step in which Cayley's form samples well but does not damp as friction does."""


class FrictionThermostat:
    """The O-step of Langevin dynamics with a model of friction.

    Args:
        model: of friction.
        kind: the form of the step.
        threads: of the evaluator.

    Raises:
        InputError: sweeps of couplings whose noise more than two atoms share.
    """

    def __init__(self, model: FrictionModel, kind: StepKind = "auto", threads: int = 1) -> None:
        self._evaluator = FrictionEvaluator(model, threads)
        self._sweeps = all(part.coupling != "column-wise" for part in model.parts)
        if kind == "sweep" and not self._sweeps:
            raise InputError(
                "friction_step: sweeps go from bond to bond; a column-wise coupling has none: "
                "use exact or cayley"
            )
        self.model, self.kind = model, kind
        self._warned = False

    def step(
        self,
        structure: Structure,
        momenta: Floats,
        masses: ArrayLike,
        time: float,
        kelvin: float,
        random: np.random.Generator,
        fixed: ArrayLike | None = None,
    ) -> Floats:
        """Momenta after friction and noise for a time at fixed positions.

        Args:
            structure: atoms and cell.
            momenta: in amu Å/fs, shape (n, 3).
            masses: in amu, shape (n,).
            time: h in fs.
            kelvin: temperature in K.
            random: of the noise.
            fixed: atoms that are held, shape (n,); None: none.

        Returns:
            Shape (n, 3).
        """
        root = np.sqrt(np.asarray(masses, dtype=float))
        scale = 1 / root if fixed is None else np.where(fixed, 0.0, 1 / root)
        sigma = self._evaluator.sigma(structure).scaled(scale)
        kt = BOLTZMANN * kelvin / AMU
        p = np.asarray(momenta) / root[:, None]
        return np.asarray(self._apply(sigma, p, time, kt, random) * root[:, None])

    def sigma(self, structure: Structure) -> Sigma:
        """Σ of a structure, in √(amu/fs)."""
        return self._evaluator.sigma(structure)

    def _apply(
        self, sigma: Sigma, p: Floats, time: float, kt: float, random: np.random.Generator
    ) -> Floats:
        kind = self.kind
        if kind == "auto":
            kind = "exact" if sigma.atoms <= _DENSE else "cayley"
            if kind == "cayley" and self._stiffness(sigma, time) > _SOFT:
                kind = "sweep" if self._sweeps else "exact"
        elif kind == "cayley" and not self._warned and self._stiffness(sigma, time) > _SOFT:
            self._warned = True
            warnings.warn(
                f"friction: the time step of {time:g} fs is "
                f"{self._stiffness(sigma, time):.2g} times the shortest friction time; Cayley's "
                "step samples exactly, but damps too little: use exact or sweep",
                StiffFrictionWarning,
                stacklevel=3,
            )
        if kind == "exact":
            columns = np.concatenate(sigma.columns(), axis=1)
            return ou.exact(columns, p.ravel(), time, kt, random).reshape(-1, 3)
        if kind == "cayley":
            return ou.cayley_sparse(sigma, p, time, kt, random)
        return ou.sweep(sigma, p, time, kt, random)

    def _stiffness(self, sigma: Sigma, time: float) -> float:
        """The step times the largest rate, by random numbers apart from those of the dynamics."""
        return time * ou.largest_rate(sigma, np.random.default_rng(0))
