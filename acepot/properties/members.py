"""Members of a committee, or draws from a posterior, as models of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.io.registry import load
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.uncertainty.posterior_file import load_posterior

__all__ = ["Members", "open_model"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Members:
    """A model, and models that it might as well be.

    Args:
        model: itself.
        coefficients: of its members in eV, shape (M, K); M may be 0.
        source: where they are from, in words.
    """

    model: Model
    coefficients: Floats
    source: str

    @cached_property
    def potential(self) -> Potential:
        """The model."""
        return Potential(replace(self.model, coefficients=self.model.coefficients[:1]))

    @cached_property
    def each(self) -> list[Potential]:
        """Every member."""
        return [
            Potential(replace(self.model, coefficients=c[None, None])) for c in self.coefficients
        ]

    @cached_property
    def _together(self) -> Potential:
        stacked = np.vstack([self.model.coefficients[0], self.coefficients])[:, None]
        return Potential(replace(self.model, coefficients=stacked))

    def energies(self, structure: Structure) -> Floats:
        """Total energies by every member in eV, shape (M,)."""
        if len(self.coefficients) == 0:
            return np.empty(0)
        committee = self._together.compute(structure, committee=True).committee
        return np.empty(0) if committee is None else np.asarray(committee.energies)


def open_model(
    path: str | Path, posterior: str | Path | None = None, count: int = 20, seed: int = 0
) -> Members:
    """A model with its committee, or with draws from its posterior.

    Args:
        path: of the model file.
        posterior: of its posterior; None: the members of its committee are taken, if it has one.
        count: members at most, and draws.
        seed: of the draws.

    Raises:
        InputError: a file that cannot be read, or no energy model.
        ModelFileError: a damaged file, or the posterior of another model.
    """
    model = load(path)
    if posterior is not None:
        found = load_posterior(posterior, model)
        rng = np.random.default_rng(seed)
        draws = rng.normal(size=(count, found.factor.shape[1])) @ found.factor.T
        return Members(model, found.mean + draws, f"{count} draws from the posterior, seed {seed}")
    committee = model.committee
    if committee is None:
        return Members(model, np.empty((0, model.coefficients.shape[2])), "")
    kept = committee[:count]
    return Members(model, kept, f"{len(kept)} members of the committee")
