"""Model -> `.yace`, for ML-PACE as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acepot.basis.embedding import Embedding
from acepot.basis.explicit import ExplicitBasis
from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.io.pace import acejl, yacelines
from acepot.io.pace.chebyshev import Floats
from acepot.io.pace.family import bond_of
from acepot.io.pace.pairpart import PairPart
from acepot.io.pace.products import SiteProducts, site_products
from acepot.io.pace.radials import Radials
from acepot.model import Model

#: Distance in Å of the knots of ML-PACE's own tables: its default.
_KNOTS = 1e-3
#: A core density at which an embedding ends that there is no core to reach.
_NO_CORE = 1e5, 250.0


@dataclass(frozen=True)
class YaceReport:
    """How a model was written.

    Args:
        orders: number K of PACE's radial functions for every ordered pair, "Si-O".
        error: largest error of a radial function, relative to its largest value.
        continued: below which distance in Å singular pair functions go on as a repulsion,
            by pair of elements.
    """

    orders: dict[str, int]
    error: float
    continued: dict[str, float]


def write_yace(model: Model, path: str | Path, *, tolerance: float = 1e-10) -> YaceReport:
    """Write a model for LAMMPS' `pair_style pace`.

    Radial functions that PACE has are written as they are; all others as sums of its
    polynomials (ChebPow, λ = 1), and singular pair functions with a repulsive continuation
    below the shortest distance of the training data. A committee is not written.

    Args:
        model: linear, or with embeddings that PACE has.
        path: usually ending in `.yace`.
        tolerance: largest error of a radial function, relative to its largest value.

    Returns:
        What was done.

    Raises:
        InputError: the format cannot hold this model, or not to this tolerance; the message
            says why. Or the file cannot be written.
    """
    lines, report = yace_lines(model, tolerance)
    with replaced(path) as file:
        file.writelines(f"{line}\n" for line in lines)
    return report


def yace_lines(model: Model, tolerance: float) -> tuple[list[str], YaceReport]:
    """The lines that `write_yace` writes, and its report.

    Args:
        model: as there.
        tolerance: as there.

    Raises:
        InputError: as there.
    """
    if not 1e-13 <= tolerance <= 1e-3:
        raise InputError(f"tolerance: expected 1e-13 to 1e-3, got {tolerance}")
    channels, sites = site_products(model)
    _check(sites)
    if (lines := acejl.lines(model, channels, sites)) is not None:
        return lines, YaceReport({}, 0.0, {})
    writer = _Writer(model, Radials(model, channels, sites, tolerance))
    return writer.lines(), writer.report()


def _check(sites: Sequence[SiteProducts]) -> None:
    """Refuse products that are not those of an energy.

    Raises:
        InputError: it is so.
    """
    for site in sites:
        single = site.order == 1
        if (site.l[single, 0] != 0).any() or site.m.sum(axis=1).any():
            raise InputError("model: expected products that rotations leave unchanged")


class _Writer:
    """Turns the radial functions of a model into PACE's, pair by pair."""

    def __init__(self, model: Model, radials: Radials) -> None:
        self.model, self.radials, self.sites = model, radials, radials.sites
        self.embeddings = _embeddings(model)
        self.pair_part = PairPart(radials, self.embeddings, model.provenance)
        self.n = _numbered(self.sites)
        self.rows = max(self.n.values(), default=1)
        self.width = 1 + max((l for _, l in self.n), default=0)

    def report(self) -> YaceReport:
        """What was done."""
        orders = {self.radials.name(a, b): self._base(a, b) for a, b in self.radials.combined}
        return YaceReport(orders, self.radials.error, self.pair_part.continued)

    def lines(self) -> list[str]:
        """The file."""
        basis = self.model.basis
        knots = basis.knots if isinstance(basis, ExplicitBasis) else None
        symbols = self.radials.symbols
        lines = list(yacelines.head_lines(symbols, self.model.e0, self.embeddings, knots or _KNOTS))
        lines.append("bonds:")
        modes = set()
        for (a, b), combined in self.radials.combined.items():
            bond = bond_of(
                combined.family, self._coefficients(a, b), self.model.nonlinear, (a, b),
                self.radials.name(a, b),
            )  # fmt: skip
            modes.add(bond.mode)
            lines.append(yacelines.bond_line(a, b, bond))
        if len(modes) > 1:
            raise InputError("model: a .yace file has one inner_cutoff_type for all pairs")
        lines.append("functions:")
        if not self.n and not any(c.size for c in self.pair_part.coefficients.values()):
            # Nothing but a repulsion, and PACE wants a function.
            self.pair_part.coefficients[0, 0] = np.zeros((len(self.embeddings[0].weights), 1))
        for a, site in enumerate(self.sites):
            lines.append(f"  {a}:")
            for b in range(len(symbols)):
                lines += yacelines.rank_one_lines(a, b, self.pair_part.coefficients[a, b])
            lines += yacelines.product_lines(a, site.take(site.order > 1), self.n)
            if lines[-1] == f"  {a}:":
                lines[-1] += " []"
        return lines

    def _base(self, a: int, b: int) -> int:
        """Number of functions g_k of a pair: up to the last that anything uses."""
        many = self.radials.combined[a, b].matrix[self.radials.used(a, b, rank_one=False)]
        last = int(np.flatnonzero(many.any(axis=0)).max(initial=0))
        return max(last + 1, int(self.pair_part.coefficients[a, b].shape[1]))

    def _coefficients(self, a: int, b: int) -> Floats:
        """R_nl of the products in which they occur, shape (n, l, K)."""
        site, matrix = self.sites[a], self.radials.combined[a, b].matrix
        base = self._base(a, b)
        out = np.zeros((self.rows, self.width, base))
        here = (site.order[:, None] > 1) & (site.species == b)
        for c, l in {*zip(site.channel[here].tolist(), site.l[here].tolist(), strict=True)}:
            used = matrix[c, :base]
            out[self.n[c, l] - 1, l, : len(used)] = used
        return out


def _numbered(sites: Sequence[SiteProducts]) -> dict[tuple[int, int], int]:
    """Number n of every radial channel in products of several factors: 1, 2, … for each l.

    ML-PACE makes A of all n and l up to the largest, so n must not count the same function of
    another l again.
    """
    used = sorted(
        {
            (int(l), int(c))
            for s in sites
            for c, l in zip(s.channel[s.order > 1].ravel(), s.l[s.order > 1].ravel(), strict=True)
            if c >= 0
        }
    )
    first = {l: i for i, (l, _) in reversed(list(enumerate(used)))}
    return {(c, l): i - first[l] + 1 for i, (l, c) in enumerate(used)}


def _embeddings(model: Model) -> list[Embedding]:
    """One for each element, all with the same number of densities."""
    nonlinear = model.nonlinear
    if nonlinear is None:
        one = Embedding("FinnisSinclairShiftedScaled", (1.0,), (1.0,), *_NO_CORE)
        return [one] * len(model.numbers)
    padded = []
    for one in nonlinear.embeddings:
        # ML-PACE's recursive evaluator is wrong where elements differ in their densities.
        missing = nonlinear.densities - len(one.weights)
        limits = _NO_CORE if nonlinear.core is None else (one.core_limit, one.core_width)
        padded.append(
            Embedding(
                one.kind,
                one.weights + (0.0,) * missing,
                one.exponents + (1.0,) * missing,
                *limits,
            )
        )
    return padded
