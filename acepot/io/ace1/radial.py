"""Transformed orthogonal polynomials as radial functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from acepot.basis.envelope import Envelope, PolynomialEnvelope, RepulsiveEnvelope
from acepot.basis.jet import Jet
from acepot.basis.radial import PolynomialRadial
from acepot.basis.transform import Agnesi, Identity, PolynomialTransform, Transform
from acepot.io.ace1.objects import DEPTH, JuliaObject, zlist
from acepot.io.orthpoly import OrthPoly, check

RadialMatrix = tuple[tuple[PolynomialRadial, ...], ...]  # [centre][neighbour]

#: Largest number of radial functions.
RADIALS = 1000
#: Longest cut-off in Å and largest power of an envelope.
_FAR, _POWER = 50.0, 12
#: Relative difference of two numbers that mean the same: files hold all digits of doubles.
_SAME = 1e-9


@dataclass(frozen=True)
class _Coordinate:
    """t = slope · x + offset with x the distance transformed by one of ours.

    Args:
        transform: kind and exponents.
        inner: where the transform begins, in Å.
        r0: its typical distance in Å.
        slope: of the map.
        offset: of the map.
    """

    transform: Transform
    inner: float
    r0: float
    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, r: float) -> float:
        """The coordinate at a distance in Å."""
        with np.errstate(all="ignore"):
            jet = self.transform.coordinate(Jet.variable(np.array([r])), self.inner, self.r0)
        return float(jet.value[0]) * self.slope + self.offset


def _coordinate(node: JuliaObject, depth: int = 0) -> _Coordinate:
    if depth > DEPTH:
        node.fail(f"expected at most {DEPTH} nested transforms")
    name = node.kind(
        "PolyTransform", "IdTransform", "AgnesiTransform", "Agnesi2Transform", "AffineT"
    )
    if name == "AffineT":
        inner = _coordinate(node.at("t"), depth + 1)
        x1, x2, y1, y2 = node.at("xy").numbers(4, 4)
        if x1 == x2:
            node.fail(f"expected two different points, got {x1} twice")
        with np.errstate(all="ignore"):
            slope = (y2 - y1) / (x2 - x1)
            offset = y1 + (inner.offset - x1) * slope
            return replace(inner, slope=float(inner.slope * slope), offset=float(offset))
    if name == "IdTransform":
        return _Coordinate(Identity(), 0.0, 1.0)
    r0, p = node.at("r0").number(1e-3, _FAR), node.at("p").number(1e-3, 50.0)
    if name == "PolyTransform":
        offset_node = node.get("a")  # always 1 before ACE1
        shift = 1.0 if offset_node is None else offset_node.number(0.0, _FAR)
        return _Coordinate(PolynomialTransform(p, offset=shift), 0.0, r0)
    begin = node.at("rin").number(0.0, _FAR)
    if r0 <= begin:
        node.fail(f"expected r0 above rin = {begin}, got {r0}")
    if name == "AgnesiTransform":  # 1/(1 + a s^p): ours with q = p and 2a
        q, steepest = p, (p - 1) / (p + 1)
    else:
        q = node.at("q").number(p, 50.0)
        steepest = (-2 * q + p * (4 * q - 2)) / (p + p**2 + q + q**2)
    if not abs((a := node.at("a").number(0.0)) - steepest) <= _SAME * steepest:
        node.fail(f"expected a = {steepest!r}, which puts the steepest slope at r0, got {a!r}")
    return _Coordinate(Agnesi(p, q), begin, r0)


def _polynomials(node: JuliaObject, trans: JuliaObject) -> PolynomialRadial:
    """The functions of one pair of elements.

    Args:
        node: TransformedPolys.
        trans: its transform for the pair of elements at hand.
    """
    node.kind("TransformedPolys")
    inner, cutoff = node.at("rl").number(0.0, _FAR), node.at("ru").number(0.0, _FAR)
    if not inner < cutoff:
        node.fail(f"expected rl below ru = {cutoff}, got {inner}")
    t = _coordinate(trans)
    family = node.at("J")
    family.kind("OrthPolyBasis")
    tl, tr = family.at("tl").number(-1e10, 1e10), family.at("tr").number(-1e10, 1e10)
    pl, pr = family.at("pl").integer(0, _POWER), family.at("pr").integer(0, _POWER)
    if not tl < tr:
        family.fail(f"expected tl below tr, got {tl} and {tr}")
    begin, end = t(inner), t(cutoff)
    if not _SAME * (tr - tl) < abs(end - begin) < np.inf:
        node.fail(f"expected a transform that tells rl from ru, got {begin} and {end}")
    t_in, p_in, t_out, p_out = (tl, pl, tr, pr) if end > begin else (tr, pr, tl, pl)
    a = family.at("A").numbers(1, RADIALS)
    b, c = (family.at(key).numbers(len(a))[: len(a)] for key in "BC")
    envelope, factor, cutoff = _envelope(node, t, cutoff, (t_in, p_in), (t_out, p_out))
    if p_in:
        inner = _inner_end(node, t, inner, t_in, abs(t_out - t_in) / 2)
    elif t.transform.flat_inside:
        inner = t.inner
    radial = OrthPoly(a, b, c, (t_in, p_in), (t_out, p_out)).radial(
        t.transform, inner, t.r0, cutoff, envelope, (t.slope, t.offset), factor
    )
    check(node, radial)
    return radial


def _envelope(
    node: JuliaObject,
    t: _Coordinate,
    cutoff: float,
    low: tuple[float, int],
    high: tuple[float, int],
) -> tuple[Envelope, float, float]:
    """The envelope, what it multiplies the first function with, and where it ends in Å.

    Args:
        node: TransformedPolys.
        t: its coordinate.
        cutoff: its end in Å.
        low: t and power at the end towards small distances.
        high: t and power at the other end.
    """
    (t_in, p_in), (t_out, p_out) = low, high
    own = node.get("envelope")  # absent before ACE1
    if own is not None and own.kind("OneEnvelope", "PolyEnvelope") == "PolyEnvelope":
        if p_in or p_out:
            own.fail(f"expected powers pl = pr = 0 beside it, got {p_in} and {p_out}")
        if abs((end := own.at("rcut").number()) - cutoff) > _SAME * cutoff:
            own.fail(f"expected rcut = ru = {cutoff}, got {end}")
        p, r0 = own.at("p").integer(1, _POWER), own.at("r0").number(1e-3, _FAR)
        # The envelope is proportional to r0^p; ours takes the r0 of the transform.
        return RepulsiveEnvelope(p), (r0 / t.r0) ** p, cutoff
    if not p_out:
        node.fail("expected functions that vanish at ru, got a power of 0 there")
    envelope = PolynomialEnvelope(p_in, p_out)
    gap = (t(cutoff) - t_out) / (t_out - t_in)
    if abs(gap) <= _SAME:
        return envelope, 1.0, cutoff
    # With a cut-off of its own for every pair, ru is the longest of them.
    begin = max(node.at("rl").number(), t.inner)
    if not (gap > 0 and (t(begin) - t_out) / (t_out - t_in) < 0):
        node.fail(f"expected functions that vanish at ru = {cutoff}, got t = {t(cutoff)} there")
    from scipy.optimize import brentq  # half a second, for few files

    end = float(brentq(lambda r: t(r) - t_out, begin, cutoff, xtol=1e-13, rtol=1e-14))
    return envelope, 1.0, end


def _inner_end(node: JuliaObject, t: _Coordinate, inner: float, t_in: float, width: float) -> float:
    """Where functions with a power at their inner end begin, in Å."""
    begin = t.inner if t.transform.flat_inside else inner
    if abs(t(begin) - t_in) > _SAME * width:
        what = "rin of the transform" if t.transform.flat_inside else "rl"
        node.fail(f"expected functions that begin at {what} = {begin}, got others")
    return begin


def radial_matrix(nodes: Sequence[JuliaObject], zs: list[int]) -> RadialMatrix:
    """Radial functions [centre][neighbour], ascending atomic numbers.

    Args:
        nodes: TransformedPolys: one for all, or one for each pair, the centre's index slowest.
        zs: atomic numbers in the file's order.
    """
    order = sorted(range(len(zs)), key=lambda i: zs[i])
    made: dict[tuple[int, int], PolynomialRadial] = {}

    def make(centre: int, neighbour: int) -> PolynomialRadial:
        node = nodes[(centre * len(zs) + neighbour) % len(nodes)]
        trans = node.at("trans")
        if isinstance(trans.value, dict) and trans.value.get("__id__") == "ACE1_MultiTransform":
            if zlist(trans.at("zlist")) != zs:
                trans.fail(f"expected the elements {zs}")
            each = trans.at("transforms").items(len(zs) ** 2, len(zs) ** 2)
            trans = each[centre * len(zs) + neighbour]
        key = (id(node.value), id(trans.value))
        if key not in made:
            made[key] = _polynomials(node, trans)
        return made[key]

    return tuple(tuple(make(i, j) for j in order) for i in order)
