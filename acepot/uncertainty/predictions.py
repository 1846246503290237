"""Errors and standard deviations on labels that a fit has not seen, also without another fit.

A structure, or a whole family of them, is left out of a linear fit exactly. Let T be the weighted
rows of what is left out times F/√noise and e their weighted residuals over √noise. In c = c̄ + F d
the posterior is d ~ N(0, 1), and without these rows

    d ~ N(-(1 - TᵀT)⁻¹ Tᵀe, (1 - TᵀT)⁻¹)

with (1 - TᵀT)⁻¹ = 1 + Tᵀ(1 - H)⁻¹T, H = TTᵀ the hat matrix of these rows (the update of Woodbury;
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 5.4.2 has it for one row).
Noise, prior and E0 stay those of the whole fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from acepot.basis.species import species_indices
from acepot.errors import InputError
from acepot.fitting.observables import Observable
from acepot.structure import Structure
from acepot.uncertainty.energies import UncertainPotential

__all__ = ["Prediction", "RowWeight", "predictions", "without_family", "without_frame"]

Floats = NDArray[np.float64]
#: Weight of an observable's rows for a structure in the fit, 0 for what is not fitted.
RowWeight = Callable[[Structure, Observable], float]
#: Leverage of one is a direction that nothing else determines; closer to one is rounding.
_MOST = 1 - 1e-10


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says about the labels of one structure, and how sure it is.

    Args:
        structure: with labels.
        errors: predicted less label by observable, flat, in the order of its rows: eV, eV/Å.
        sigmas: standard deviations by the posterior, likewise.
        leverage: h_j, the part of its own label in the fitted value of each row that is fitted,
            0 to 1, by observable; empty where the structure was not in the fit.
    """

    structure: Structure
    errors: dict[str, Floats]
    sigmas: dict[str, Floats]
    leverage: dict[str, Floats]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Labelled rows of one structure.

    Args:
        structure: whose they are.
        names: observables, in the order of the rows.
        sizes: how many rows each has.
        seen: rows times F, shape (m, r).
        errors: predicted less label, shape (m,).
        weights: in the fit over √noise, shape (m,); 0 for what is not fitted.
    """

    structure: Structure
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    seen: Floats
    errors: Floats
    weights: Floats

    @property
    def whitened(self) -> tuple[Floats, Floats]:
        """T and e of the rows that are fitted."""
        fitted = self.weights > 0
        w = self.weights[fitted]
        return w[:, None] * self.seen[fitted], -w * self.errors[fitted]

    def by_name(self, values: Floats) -> dict[str, Floats]:
        """Values of all rows by observable."""
        parts = np.split(values, np.cumsum(self.sizes)[:-1])
        return dict(zip(self.names, parts, strict=True))


def predictions(potential: UncertainPotential, structures: Sequence[Structure]) -> list[Prediction]:
    """Errors and standard deviations on structures that were not in the fit.

    Args:
        potential: the model with its posterior.
        structures: those without any label are left out.

    Raises:
        InputError: a structure that cannot be evaluated, or a label of another shape.
    """
    return [
        Prediction(
            rows.structure,
            rows.by_name(rows.errors),
            rows.by_name(np.linalg.norm(rows.seen, axis=1)),
            {},
        )
        for rows in _labelled(potential, structures, None)
    ]


def without_frame(
    potential: UncertainPotential, structures: Sequence[Structure], weight: RowWeight
) -> list[Prediction]:
    """Errors and standard deviations of each structure of the fit as if it had not been in it.

    Args:
        potential: the model with its posterior.
        structures: of the fit; those without any label are left out.
        weight: of the rows in the fit, before √n is divided by.

    Raises:
        InputError: the posterior has no noise, or a structure that cannot be evaluated.
    """
    found = []
    for rows in _labelled(potential, structures, weight):
        t, e = rows.whitened
        hat = t @ t.T
        root = cholesky(np.eye(len(hat)) - _MOST * hat, lower=True)
        along = solve_triangular(root, t, lower=True)  # L⁻¹T, [m, r]
        step = along.T @ solve_triangular(root, e, lower=True)  # (1 - TᵀT)⁻¹Tᵀe = -d
        errors = rows.errors - rows.seen @ step
        variance = (rows.seen**2).sum(axis=1) + ((rows.seen @ along.T) ** 2).sum(axis=1)
        leverage = np.zeros(len(rows.errors))
        leverage[rows.weights > 0] = np.diag(hat)
        names = [n for n, w in rows.by_name(rows.weights).items() if (w > 0).any()]
        own = {n: v for n, v in rows.by_name(leverage).items() if n in names}
        sigmas = rows.by_name(np.sqrt(variance))
        found.append(Prediction(rows.structure, rows.by_name(errors), sigmas, own))
    return found


def without_family(
    potential: UncertainPotential,
    structures: Sequence[Structure],
    weight: RowWeight,
    family: Callable[[Structure], str] = lambda s: s.config_type,
) -> list[Prediction]:
    """Errors and standard deviations of each structure as if its whole family had been left out.

    Args:
        potential: the model with its posterior.
        structures: of the fit.
        weight: of the rows in the fit, before √n is divided by.
        family: names the family of a structure.

    Raises:
        InputError: fewer than two families, no noise, or a structure that cannot be evaluated.
    """
    names = list(dict.fromkeys(family(s) for s in structures))
    if len(names) < 2:
        raise InputError(f"families: expected two or more, got {names}")
    found = []
    for name in names:
        members = [s for s in structures if family(s) == name]
        size = potential.posterior.factor.shape[1]
        inner, outer = np.zeros((size, size)), np.zeros(size)
        for rows in _labelled(potential, members, weight):
            t, e = rows.whitened
            inner += t.T @ t
            outer += t.T @ e
        root = cholesky(np.eye(size) - _MOST * inner, lower=True)
        step = solve_triangular(root, outer, lower=True)
        for rows in _labelled(potential, members, weight):
            along = solve_triangular(root, rows.seen.T, lower=True).T  # [m, r]
            sigmas = rows.by_name(np.linalg.norm(along, axis=1))
            errors = rows.by_name(rows.errors - along @ step)
            found.append(Prediction(rows.structure, errors, sigmas, {}))
    return found


def _labelled(
    potential: UncertainPotential, structures: Sequence[Structure], weight: RowWeight | None
) -> Iterator[_Rows]:
    """The labelled rows of structures; those without any are passed over."""
    posterior = potential.posterior
    if weight is not None and not posterior.noise > 0:
        raise InputError("posterior.noise: expected more than 0 to leave data out, got 0")
    model, unit = posterior.model, np.sqrt(posterior.noise or 1.0)
    for structure in structures:
        e0 = float(model.e0[species_indices(model.numbers, structure.numbers)].sum())
        labels = [(one, one.label(structure, e0)) for one in Observable.known.values()]
        used = [(one, label) for one, label in labels if label is not None]
        if not used:
            continue
        rows = np.concatenate([one.rows(structure, potential.design) for one, _ in used])
        sizes = tuple(len(label) for _, label in used)
        n = len(structure)
        factors = [
            0.0 if weight is None else one.factor(weight(structure, one), n) for one, _ in used
        ]
        yield _Rows(
            structure,
            tuple(one.name for one, _ in used),
            sizes,
            rows @ posterior.factor,
            rows @ posterior.mean - np.concatenate([label for _, label in used]),
            np.repeat(factors, sizes) / unit,
        )
