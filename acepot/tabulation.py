"""Radial functions of all ordered pairs of species -> the tables that evaluators read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from acepot.basis.basis import RadialMatrix
from acepot.basis.family import RadialFunctions
from acepot.basis.radial import ProductRadial
from acepot.basis.refinement import RefinedTable, refined
from acepot.basis.splines import Knots, cubic, equidistant, tabulate
from acepot.budget import MORE, allowed
from acepot.errors import InputError
from acepot.tables import Floats, RadialTable

#: Largest table error, relative to each radial function's largest value. Fits and runs read
#: the same tables, so it only matters against analytic radials (docs/conventions.md, "Tables").
TOLERANCE = 1e-8
#: Where the tolerance holds, in Å: no two atoms of a molecule or solid are closer.
NEAR = 0.7
#: How many times the tolerance tables may err below: functions in powers of 1/r or of high
#: Chebyshev degree bend too sharply there.
INSIDE = 100
#: What refined tables may still err, if it is not less than a file's own program errs.
REFUSED = 1e-7
#: Distances in Å of two equidistant knots: the first that meets the tolerances is taken, so tables
#: stay as small as the functions allow; what needs closer ones gets knots where they matter. Wider
#: ones gain no speed (measured).
SPACINGS = (0.02, 0.015, 0.01, 0.0075, 0.005, 0.0025)
#: Most functions × knots of one pair: a small file could ask for a thousand functions to 50 Å.
_VALUES = 1e6
#: How much less refined tables shall err than they may: a few more knots cost next to nothing.
_STRICTER = 10
#: Most intervals of one pair.
_MOST_BINS = 20_000
#: Intervals of a program's own tables that are made at once to measure them.
_AT_ONCE = 2000
#: Where tables begin in Å unless their functions vanish inside an inner cut-off.
BEGIN = 0.1


Functions = RadialMatrix | list[list[ProductRadial]]


def radial_table(
    family: RadialMatrix,
    functions: Functions,
    tolerance: float,
    own: float | None,
    exact: bool,
    limit: float,
) -> RadialTable:
    """The coarsest table that meets the tolerance.

    Args:
        family: radial functions by centre and neighbour.
        functions: what is tabulated: they or products of them.
        tolerance: largest error beyond NEAR, relative to each function's largest value.
        own: distance in Å of the knots of the program that a file came from; None: there is none.
        exact: make that program's own tables instead.
        limit: bytes the table may take.

    Raises:
        InputError: it would be larger, or err more than is allowed.
    """
    if exact and own is not None:
        return _cubic_table(family, functions, own)
    for spacing in SPACINGS:
        grids = [[_grid(f, spacing) for f in row] for row in family]
        if _excess(family, functions, [g.bins for row in grids for g in row], limit):
            break
        made = _equidistant_table(family, functions, grids)
        if made.worst <= tolerance:
            return made.table
    most = int(min(limit / (48.0 * len(family) ** 2 * functions[0][0].count), _MOST_BINS))
    fewest = [int((f.cutoff - _begin(f)) / SPACINGS[0]) for row in family for f in row]
    if reason := _excess(family, functions, fewest, limit):
        raise InputError(reason)
    made = _refined_table(family, functions, tolerance, most)
    if made.worst <= max(tolerance, REFUSED):
        return made.table
    if own is not None and made.worst <= (theirs := _cubic_error(family, functions, own)):
        return made.table
    told = "" if own is None else f", more than the {theirs:.1e} of its own program's tables"
    raise InputError(
        f"radial functions: tables still err by {made.worst:.1e} of their largest value{told}; "
        "they bend too sharply or jump. In a fit choose a smoother envelope, transform or inner "
        "cut-off; a potential that comes from elsewhere cannot be evaluated here"
    )


@dataclass(frozen=True, eq=False)
class _Made:
    """A table, and the largest of its errors beyond NEAR and, by INSIDE less strict, below."""

    table: RadialTable
    worst: float


def _excess(family: RadialMatrix, functions: Functions, bins: list[int], limit: float) -> str:
    """Why tables of so many intervals of each pair are too large; nothing if they are not."""
    channels, pairs, most = functions[0][0].count, len(bins), max(bins)
    values = max(max(f.count for row in family for f in row), channels) * most
    if 48.0 * pairs * most * channels <= limit and values <= allowed(_VALUES):
        return ""
    return (
        f"radial functions: tables of {channels} functions of {pairs} pairs with {most} intervals "
        "are too large; choose fewer functions or elements, shorter cut-offs or smoother "
        f"functions; {MORE}"
    )


def _equidistant_table(
    family: RadialMatrix, functions: Functions, grids: list[list[Knots]]
) -> _Made:
    """One grid per ordered pair."""

    def make(a: int, b: int) -> RefinedTable:
        knots = grids[a][b]
        found, error = tabulate(functions[a][b].evaluate, knots)
        return RefinedTable(knots.begin, knots.spacing, np.arange(knots.bins + 1.0), found, error)

    made = _assembled(family, functions, make)
    return _Made(replace(made.table, knots=None), made.worst)


def _refined_table(
    family: RadialMatrix, functions: Functions, tolerance: float, most: int
) -> _Made:
    """Knots that meet every seam, and more of them where functions bend."""

    def allowed(end: Floats) -> Floats:
        return np.where(end <= NEAR, INSIDE * tolerance, tolerance) / _STRICTER

    def make(a: int, b: int) -> RefinedTable:
        one = family[a][b]
        return refined(
            functions[a][b].evaluate, _begin(one), one.cutoff, SPACINGS[0], one.seams, allowed, most
        )

    return _assembled(family, functions, make)


def _assembled(
    family: RadialMatrix, functions: Functions, make: Callable[[int, int], RefinedTable]
) -> _Made:
    """The tables of all ordered pairs as one, padded to the largest number of intervals."""
    species = range(len(family))
    error = inside = 0.0
    rows: list[list[RefinedTable]] = []
    for a in species:
        row: list[RefinedTable] = []
        rows.append(row)
        for b in species:
            with np.errstate(all="ignore"):  # what overflows is found below
                one = make(a, b)
            if not np.isfinite(one.coefficients).all():
                raise InputError(
                    "radial functions: expected finite numbers down to where the tables begin, got "
                    "infinite ones; choose smaller exponents, powers or coefficients"
                )
            near = one.begin + one.spacing * one.knots[1:] <= NEAR
            # NaN stays, unlike in Python's max.
            error = float(np.maximum(error, one.error[~near].max(initial=0.0)))
            inside = float(np.maximum(inside, one.error[near].max(initial=0.0)))
            row.append(one)
    bins = np.array([[len(one.error) for one in row] for row in rows], dtype=np.int32)
    most = int(bins.max())
    out = np.zeros((*bins.shape, most, 6, functions[0][0].count))
    knots = np.zeros((*bins.shape, most + 1))
    for a in species:
        for b in species:
            out[a, b, : bins[a, b]] = rows[a][b].coefficients
            knots[a, b, : bins[a, b] + 1] = rows[a][b].knots
            rows[a][b] = replace(rows[a][b], coefficients=np.zeros(0))  # held once
    table = RadialTable(
        begin=np.array([[one.begin for one in row] for row in rows]),
        spacing=np.array([[one.spacing for one in row] for row in rows]),
        bins=bins,
        coefficients=out,
        zero_inside=np.array([[f.zero_inside for f in row] for row in family], dtype=np.int32),
        error=error,
        knots=knots,
    )
    return _Made(table, float(np.maximum(error, inside / INSIDE)))


def _cubic_table(family: RadialMatrix, functions: Functions, knots: float) -> RadialTable:
    """PACE's knots n rc/floor(rc/knots), without the first interval, which it refuses."""
    species = range(len(family))
    bins = np.array([[int(f.cutoff / knots) - 1 for f in row] for row in family], dtype=np.int32)
    spacing = np.array([[f.cutoff for f in row] for row in family]) / (bins + 1)
    out = np.zeros((len(species), len(species), bins.max(), 6, functions[0][0].count))
    for a in species:
        for b in species:
            grid = Knots(spacing[a, b], spacing[a, b], int(bins[a, b]))
            out[a, b, : grid.bins] = cubic(functions[a][b].evaluate, grid)
    return RadialTable(spacing, spacing, bins, out, zero_inside=np.zeros_like(bins), error=np.nan)


def _cubic_error(family: RadialMatrix, functions: Functions, knots: float) -> float:
    """What the tables of a file's own program err, measured as ours are."""
    worst = 0.0
    for one, each in zip(chain(*family), chain(*functions), strict=True):
        bins = int(one.cutoff / knots) - 1
        spacing = one.cutoff / (bins + 1)
        scale = errors = np.zeros(each.count)
        for first in range(0, bins, _AT_ONCE):
            begin, count = spacing * (first + 1), min(_AT_ONCE, bins - first)
            table = cubic(each.evaluate, Knots(begin, spacing, count))
            at = begin + spacing * (np.arange(count) + 0.5)
            value = each.evaluate(at).value
            read = np.einsum("bkf,k->fb", table, 0.5 ** np.arange(6))
            kept = at > _begin(one)
            scale = np.maximum(scale, np.abs(value[:, kept]).max(axis=1, initial=0.0))
            looser = np.where(at <= NEAR, INSIDE, 1)
            errors = np.maximum(errors, (np.abs(read - value) / looser * kept).max(axis=1))
        worst = max(worst, float((errors / np.where(scale > 0, scale, 1.0)).max()))
    return worst


def _begin(functions: RadialFunctions) -> float:
    """Where tables begin in Å."""
    begin = functions.inner if functions.zero_inside else BEGIN
    if not functions.cutoff > begin + SPACINGS[0]:
        raise InputError(
            f"radial functions: expected a cut-off above {begin + SPACINGS[0]:.4g} Å, where the "
            f"first interval of their tables ends, got {functions.cutoff:.4g} Å"
        )
    return begin


def _grid(functions: RadialFunctions, spacing: float) -> Knots:
    return equidistant(_begin(functions), functions.cutoff, spacing, functions.breaks)
