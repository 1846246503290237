"""E - τσ of a model with its posterior at a fixed τ, for engines: what adapters are made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Result, require
from acepot.io.registry import load
from acepot.model import Model
from acepot.structure import Structure
from acepot.uncertainty.energies import BiasedEnergy, UncertainPotential
from acepot.uncertainty.posterior import Posterior
from acepot.uncertainty.posterior_file import load_posterior

__all__ = ["BiasedPotential"]


class BiasedPotential:
    """A linear model whose energies are biased by their standard deviations.

    Args:
        model: the model, or its file.
        posterior: of it, or its file; `acepot hal`, and a calibrated fit, leave both.
        tau: τ; above 0 what is unknown attracts, below 0 it repels.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.

    Raises:
        InputError: files that cannot be opened, a τ that is not finite, a model that is not linear.
        ModelFileError: no model or posterior, damaged ones, or a posterior of another model.
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        posterior: Posterior | str | os.PathLike[str],
        tau: float,
        threads: int | None = None,
    ) -> None:
        if not np.isfinite(tau):
            raise InputError(f"tau: expected a finite number, got {tau}")
        loaded = model if isinstance(model, Model) else load(model)
        if not isinstance(loaded, Model):
            raise InputError("model: expected a model of energies")
        if not isinstance(posterior, Posterior):
            posterior = load_posterior(Path(posterior), loaded)
        self.model, self.tau = loaded, float(tau)
        self._potential = UncertainPotential(posterior, threads)

    def compute(self, structure: Structure) -> BiasedEnergy:
        """E, σ, and forces and virial of E - τσ of one structure.

        Args:
            structure: atoms and cell.

        Raises:
            InputError: an element the model does not know, atoms too close.
        """
        (found,) = self._potential.compute([structure], self.tau)
        return require([found])[0]

    def compute_all(
        self, structures: Sequence[Structure], *, committee: bool = False
    ) -> list[Result]:
        """The same of several structures as results of a potential, with equal parts of all atoms.

        Args:
            structures: atoms and cells.
            committee: is refused: the posterior is in the bias.

        Raises:
            InputError: as `compute`, or a committee that is asked for.
        """
        if committee:
            raise InputError("committee: expected none beside a bias")
        results = []
        for structure, one in zip(
            structures, require(self._potential.compute(structures, self.tau)), strict=True
        ):
            n = len(structure)
            virials = np.repeat(one.virial[None] / n, n, axis=0)
            results.append(Result(np.full(n, one.biased / n), one.forces, virials))
        return results
