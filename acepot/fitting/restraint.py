"""Artificial dimers that keep the pair potential repulsive where there are no data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import pair_number
from acepot.basis.expansion import Expansion
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.recipe import Restraint

Floats = NDArray[np.float64]


def applies(spec: BasisSpec) -> bool:
    """Whether a basis has a pair part whose envelope grows towards zero distance."""
    return bool(spec.pair.degree) and spec.pair.radial.repulsion is not None


def restraint_rows(
    spec: BasisSpec, expansion: Expansion, config: Restraint
) -> tuple[Floats, Floats]:
    """Weighted rows that ask the pair energy at a tiny distance to be as large as its envelope.

    Σ_k c_k V_k(distance) = (distance/r0)^-p for every unordered pair of elements, the leading
    part of either repulsive envelope, as in ACEpotentials.jl. Only pair functions enter: at
    0.01 Å no many-body function matters.

    Args:
        spec: a resolved specification.
        expansion: its functions.
        config: weight and distance (Å).

    Returns:
        Rows, shape (pairs, K), and targets in eV, shape (pairs,), both times the weight.

    Raises:
        InputError: the basis has no repulsive pair part.
    """
    power = spec.pair.radial.repulsion
    if not spec.pair.degree or power is None:
        raise InputError(
            "restraint: needs a pair basis with the envelope r or r_shifted; "
            "set restraint.weight = 0"
        )
    labels = expansion.labels
    functions = spec.pair_functions() or []
    rows, targets = [], []
    for a in range(len(spec.elements)):
        for b in range(a, len(spec.elements)):
            mine = (labels.order == 0) & (labels.centre == a) & (labels.z[:, 0] == b)
            row = np.zeros(expansion.size)
            distance = np.array([config.distance])
            row[mine] = functions[a][b].evaluate(distance).value[:, 0]
            r0 = pair_number(spec.r0, spec.elements[a], spec.elements[b], "basis.r0")
            rows.append(row)
            targets.append((config.distance / r0) ** -float(power))
    return config.weight * np.array(rows), config.weight * np.array(targets)
