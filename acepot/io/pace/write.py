"""Model -> `.yace`, for ML-PACE as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import Embedding, embed
from acepot.basis.explicit import ExplicitBasis
from acepot.basis.family import RadialFunctions
from acepot.basis.jet import Jet
from acepot.basis.radial import PolynomialRadial, ProductRadial
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.io.files import replaced
from acepot.io.pace import acejl, cap, spectral, text
from acepot.io.pace.family import Channel, Combined, PaceFamily, core_of, in_own_family
from acepot.io.pace.terms import Terms, terms_of
from acepot.lower import families
from acepot.model import Model

Floats = spectral.Floats
#: Distance in Å of the knots of ML-PACE's own tables: its default.
_KNOTS = 1e-3
#: Digits kept of the coefficients of radial functions, relative to the largest.
_DIGITS = 15
#: Relative difference of cut-offs that mean the same.
_SAME = 1e-9
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
    channels, sites = terms_of(model)
    _check(sites)
    if acejl.fits(model):
        return acejl.lines(model, channels, sites), YaceReport({}, 0.0, {})
    writer = _Writer(model, channels, sites, tolerance)
    return writer.lines(), writer.report()


def _check(sites: Sequence[Terms]) -> None:
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

    def __init__(
        self,
        model: Model,
        channels: tuple[Channel, ...],
        sites: Sequence[Terms],
        tolerance: float,
    ) -> None:
        self.model = model
        self.channels = channels
        self.sites = sites
        self.tolerance = tolerance
        self.symbols = [SYMBOLS[z] for z in model.numbers]
        self.embeddings = _embeddings(model)
        self.many = tuple(c for c in channels if c[0] > 0)
        pairs = tuple(c for c in channels if c[0] < 0)
        self.bodies, self.pair = families(model.basis, self.many, pairs)
        self.n = _numbered(sites)
        self.rows = max(self.n.values(), default=1)
        self.width = 1 + max((l for _, l in self.n), default=0)
        self.error = 0.0
        self.continued: dict[str, float] = {}
        pairs_of = list(product(range(len(self.symbols)), repeat=2))
        self.own = {(a, b): self._own(a, b) for a, b in pairs_of}
        self.combined = {(a, b): self.own[a, b] or self._expanded(a, b) for a, b in pairs_of}
        self.singles = self._singles()

    # ------------------------------------------------------------ what comes out

    def report(self) -> YaceReport:
        """What was done."""
        orders = {self._name(a, b): self._base(a, b) for a, b in self.combined}
        return YaceReport(orders, self.error, self.continued)

    def lines(self) -> list[str]:
        """The file."""
        basis = self.model.basis
        knots = basis.knots if isinstance(basis, ExplicitBasis) else None
        lines = list(text.head_lines(self.symbols, self.model.e0, self.embeddings, knots or _KNOTS))
        lines.append("bonds:")
        cores = {}
        for (a, b), combined in self.combined.items():
            core = core_of(self.model.nonlinear, a, b, combined.family, self._name(a, b))
            cores[a, b] = core.mode
            bond = text.BondText(combined, core, self._coefficients(a, b))
            lines.append(text.bond_line(a, b, bond))
        if len(set(cores.values())) > 1:
            raise InputError("model: a .yace file has one inner_cutoff_type for all pairs")
        lines.append("functions:")
        if not self.n and not any(c.size for c in self.singles.values()):
            # Nothing but a repulsion, and PACE wants a function.
            self.singles[0, 0] = np.zeros((len(self.embeddings[0].weights), 1))
        for a, site in enumerate(self.sites):
            lines.append(f"  {a}:")
            for b in range(len(self.symbols)):
                lines += text.single_lines(a, b, self.singles[a, b])
            lines += text.product_lines(a, site.take(site.order > 1), self.n)
            if lines[-1] == f"  {a}:":
                lines[-1] += " []"
        return lines

    def _name(self, a: int, b: int) -> str:
        return f"{self.symbols[a]}-{self.symbols[b]}"

    def _base(self, a: int, b: int) -> int:
        """Number of functions g_k of a pair: up to the last that anything uses."""
        many = self.combined[a, b].matrix[self._used(a, b, single=False)]
        last = int(np.flatnonzero(many.any(axis=0)).max(initial=0))
        return max(last + 1, int(self.singles[a, b].shape[1]))

    def _coefficients(self, a: int, b: int) -> Floats:
        """R_nl of the products in which they occur, shape (n, l, K)."""
        site, matrix = self.sites[a], self.combined[a, b].matrix
        base = self._base(a, b)
        out = np.zeros((self.rows, self.width, base))
        here = (site.order[:, None] > 1) & (site.species == b)
        for c, l in {*zip(site.channel[here].tolist(), site.l[here].tolist(), strict=True)}:
            used = matrix[c, :base]
            out[self.n[c, l] - 1, l, : len(used)] = used
        return out

    # ------------------------------------------------------------ radial functions

    def _used(self, a: int, b: int, single: bool) -> list[int]:
        """Channels in products of one factor, or of several, with this neighbour."""
        site = self.sites[a]
        here = ((site.order[:, None] == 1) == single) & (site.species == b)
        return sorted({int(c) for c in site.channel[here]})

    def _own(self, a: int, b: int) -> Combined | None:
        """All channels of a pair, if they are functions of PACE."""
        pair = None if self.pair is None else self.pair[a][b]
        return in_own_family(self.bodies[a][b], pair, self.channels)

    def _expanded(self, a: int, b: int) -> Combined:
        """Channels of a pair as polynomials; rows that have one factor only stay zero."""
        many = self._used(a, b, single=False)
        family = PaceFamily("ChebPow", self._cutoff(a, b))
        if not many:
            return Combined(family, np.zeros((len(self.channels), 1)))
        found = spectral.expand(
            lambda r: self._values(a, b, many, r).value, family.cutoff, self.tolerance,
            self._name(a, b),
        )  # fmt: skip
        self.error = max(self.error, found.error)
        matrix = np.zeros((len(self.channels), found.order))
        matrix[many] = _rounded(found.coefficients)
        return Combined(family, matrix)

    def _cutoff(self, a: int, b: int) -> float:
        """The cut-off of an ordered pair.

        Raises:
            InputError: many-body and pair functions end at different distances.
        """
        used = self._used(a, b, single=False) + self._used(a, b, single=True)
        ends = {}
        for kind, family in (("many-body", self.bodies), ("pair", self.pair)):
            if family and any((self.channels[c][0] < 0) == (kind == "pair") for c in used):
                ends[kind] = family[a][b].cutoff
        if max(ends.values(), default=0.0) > min(ends.values(), default=0.0) * (1 + _SAME):
            raise InputError(
                f"{self._name(a, b)}: the many-body functions end at {ends['many-body']} Å, the "
                f"pair functions at {ends['pair']} Å; a .yace file has one cut-off for a pair, and "
                f"to the longer one {spectral.MAX_ORDER} functions reach a relative error of only "
                f"{self._mismatch(a, b, ends):.0e}: fit with equal cut-offs"
            )
        return max(ends.values(), default=self.bodies[a][b].cutoff)

    def _mismatch(self, a: int, b: int, ends: dict[str, float]) -> float:
        """The error of the shorter functions of a pair written up to the longer cut-off."""
        short = min(ends, key=lambda kind: ends[kind])
        channels = [
            c
            for single in (True, False)
            for c in self._used(a, b, single)
            if (self.channels[c][0] < 0) == (short == "pair")
        ]
        begin = 0.0
        if short == "pair" and self._is_singular(a, b):
            begin = 0.3 * ends[short]  # smoothly, so that only the kink at its end counts
        return spectral.reached(
            lambda r: self._values(a, b, channels, (begin**8 + r**8) ** 0.125).value,
            max(ends.values()),
        )

    def _values(self, a: int, b: int, channels: Sequence[int], r: Floats) -> Jet:
        """Channels at distances r in Å, shape (channels, len(r))."""
        parts: list[Jet] = []
        many = [self.channels[c] for c in channels if self.channels[c][0] > 0]
        if many:
            members = tuple(tuple(n - 1 for n in c) for c in many)
            parts.append(ProductRadial(self.bodies[a][b], members).evaluate(r))
        k = [-self.channels[c][0] - 1 for c in channels if self.channels[c][0] < 0]
        if k and self.pair is not None:
            jet = self.pair[a][b].evaluate(r)
            parts.append(Jet(jet.value[k], jet.first[k], jet.second[k]))
        return Jet(
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.first for p in parts]),
            np.concatenate([p.second for p in parts]),
        )

    # ------------------------------------------------------------ functions with one factor

    def _singles(self) -> dict[tuple[int, int], Floats]:
        """Coefficients of the functions with one factor of every pair, shape (P, K)."""
        found: dict[tuple[int, int], Floats] = {}
        for a, b in self.combined:
            if (a, b) in found:
                continue
            ends = [(a, b)] if a == b else [(a, b), (b, a)]
            singular = [end for end in ends if self._is_singular(*end)]
            for end in ends:
                found[end] = self._regular(*end, self._singular(*end))
            if singular:
                self._continue(singular, ends, found)
        last = {end: np.flatnonzero(c.any(axis=0)).max(initial=-1) for end, c in found.items()}
        return {end: c[:, : last[end] + 1] for end, c in found.items()}

    def _single(self, a: int, b: int) -> tuple[list[int], Floats]:
        """Channels in functions with one factor and their weights, shape (P, channels)."""
        site = self.sites[a]
        here = (site.order == 1) & (site.species[:, 0] == b)
        return [int(c) for c in site.channel[here, 0]], site.weight[:, here]

    def _is_singular(self, a: int, b: int) -> bool:
        return bool(self._singular(a, b).any())

    def _singular(self, a: int, b: int) -> NDArray[np.bool_]:
        """Which channels in functions with one factor are infinite at r = 0."""
        channels, _ = self._single(a, b)
        if not channels or self.own[a, b] is not None:
            return np.zeros(len(channels), dtype=bool)
        with np.errstate(all="ignore"):
            start = self._values(a, b, channels, np.zeros(1)).value
        return np.asarray(~np.isfinite(start[:, 0]))

    def _regular(self, a: int, b: int, singular: NDArray[np.bool_]) -> Floats:
        """Those of a pair; the density of singular functions is left out."""
        channels, weight = self._single(a, b)
        combined = self.combined[a, b]
        if not channels:
            return np.zeros((len(weight), 0))
        if self.own[a, b] is not None:
            return weight @ combined.matrix[channels]
        kept: NDArray[np.bool_] = np.asarray(weight.any(axis=1))
        if singular.any():
            p = self._linear_density(a, b)
            if np.delete(weight[:, singular], p, axis=0).any():
                raise InputError(
                    f"{self._name(a, b)}: a pair function that is singular at r = 0 must belong "
                    "to a density with exponent 1"
                )
            kept[p] = False
        if not kept.any():
            return np.zeros((len(weight), 0))
        regular = [c for c, infinite in zip(channels, singular, strict=True) if not infinite]
        found = spectral.expand(
            lambda r: weight[np.ix_(kept, ~singular)] @ self._values(a, b, regular, r).value,
            combined.family.cutoff, self.tolerance, self._name(a, b),
        )  # fmt: skip
        self.error = max(self.error, found.error)
        out = np.zeros((len(weight), found.order))
        out[kept] = _rounded(found.coefficients)
        return out

    def _linear_density(self, a: int, b: int) -> int:
        """The density that enters the energy linearly."""
        one = self.embeddings[a]
        for p, (w, m) in enumerate(zip(one.weights, one.exponents, strict=True)):
            if m == 1.0 and w > 0.0:
                return p
        raise InputError(
            f"{self._name(a, b)}: a singular pair function needs a density with exponent 1"
        )

    def _continue(
        self,
        singular: list[tuple[int, int]],
        ends: list[tuple[int, int]],
        found: dict[tuple[int, int], Floats],
    ) -> None:
        """Give the singular functions of a pair a repulsive continuation."""
        a, b = ends[0]
        cutoffs = [self.combined[end].family.cutoff for end in singular]
        name = self._name(a, b)
        shortest = cap.shortest_distance(
            self.model.provenance,
            (self.symbols[a], self.symbols[b]),
            self._typical(a, b),
            min(cutoffs),
        )
        self.continued[name] = shortest

        def function(end: tuple[int, int]) -> cap.Function:
            channels, weight = self._single(*end)
            w = weight[self._linear_density(*end)]

            def values(r: Floats) -> Jet:
                jet = self._values(*end, channels, r)
                return Jet(w @ jet.value, w @ jet.first, w @ jet.second)

            return values

        def energy(r: Floats, values: list[Floats]) -> Floats:
            total = np.zeros(len(r))
            for end in ends if len(ends) == 2 else ends * 2:
                density = self._density(*end, r, found[end])
                if end in singular:
                    density[self._linear_density(*end)] += values[singular.index(end)]
                one = self.embeddings[end[0]]
                for rho, w, m in zip(density, one.weights, one.exponents, strict=True):
                    total += w * embed(one.kind == "FinnisSinclairShiftedScaled", m, rho)[0]
            return total

        least = max(self.combined[end].matrix.shape[1] for end in ends)
        sums = cap.continued(
            [function(end) for end in singular], shortest, cutoffs, energy, max(least, 32),
            self.tolerance, name,
        )  # fmt: skip
        for end, one in zip(singular, sums, strict=True):
            self.error = max(self.error, one.error)
            other = found[end]
            out = np.zeros((len(other), max(one.order, other.shape[1])))
            out[:, : other.shape[1]] = other
            out[self._linear_density(*end), : one.order] = _rounded(one.coefficients)[0]
            found[end] = out

    def _typical(self, a: int, b: int) -> float:
        """The typical distance of two neighbours in Å."""
        choices: list[RadialFunctions] = [self.bodies[a][b]]
        if self.pair is not None:
            choices.append(self.pair[a][b])
        known = [f.r0 for f in choices if isinstance(f, PolynomialRadial)]
        return known[0] if known else 0.4 * choices[0].cutoff

    def _density(self, a: int, b: int, r: Floats, single: Floats) -> Floats:
        """ρ_p of an atom with one neighbour on the z axis, but for singular parts, (P, m)."""
        site, cutoff = self.sites[a], self.combined[a, b].family.cutoff
        out = single @ spectral.basis(single.shape[1], r, cutoff)
        alone = ((site.species == b) | (site.species < 0)).all(axis=1)
        terms = site.take((site.order > 1) & alone & ~site.m.any(axis=1))
        if len(terms.order):
            radial = np.ones((len(self.channels) + 1, len(r)))
            used = sorted({int(c) for c in terms.channel.ravel() if c >= 0})
            radial[used] = self._values(a, b, used, r).value
            size = np.sqrt(2.0 * np.maximum(terms.l, 0) + 1.0)  # of PACE's Y_l0 on the axis
            out += terms.weight @ (radial[terms.channel] * size[..., None]).prod(axis=1)
        return out


def _numbered(sites: Sequence[Terms]) -> dict[tuple[int, int], int]:
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


def _rounded(coefficients: Floats) -> Floats:
    """Without the digits that say nothing, so that small numbers are short in the file."""
    scale = float(np.abs(coefficients).max(initial=1e-300))
    return np.round(coefficients, _DIGITS - int(np.ceil(np.log10(scale))))


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
