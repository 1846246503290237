"""The basis that a recipe leaves open, chosen from what the training data are.

The number of functions follows from the number of rows; the time of the fit, which grows with
rows × functions², and the speed of the finished model bound it. Degrees fall from order to order
in fixed proportions: products of many factors multiply fastest and explain least. Every choice
depends on the data alone, never on the machine, so that a fit repeated elsewhere is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from statistics import median

import numpy as np

from acepot.basis.choices import (
    BOND_LENGTHS,
    CUTOFF_IN_R0,
    MAX_DEGREE,
    WL_WITHOUT_DATA,
    Degree,
    Pair,
    resolve,
    same_both_ways,
)
from acepot.basis.irrep import SCALAR
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.species import atomic_number
from acepot.fitting.dataset import row_counts
from acepot.structure import Structure

__all__ = ["Facts", "chosen_basis", "cutoffs", "facts", "fallen", "smaller_basis"]

#: Shortest cut-off in Å that is chosen: second and third neighbours of light atoms lie within.
_LEAST_CUTOFF = 4.5
#: Degree of each order, in units of the largest. On copper of many phases the slower fall, with as
#: many functions, has errors smaller by a sixth to a quarter; other crystals hardly notice.
_FALL_IN_CRYSTALS = (1.0, 0.84, 0.68, 0.55, 0.42, 0.4)
_FALL_IN_MOLECULES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.4)
#: Steps of the largest degree; the smallest.
_STEP, _LEAST = 0.1, 3.0
#: Weight of l in the degree: bonds of molecules keep their lengths and turn, so that angles tell
#: more than distances (ethanol: 2,300 functions with 0.5 do as well as 4,100 with 1).
_WL_IN_MOLECULES = 0.5
#: Least number of rows for one function.
_ROWS_FOR_ONE = 2
#: The same for least squares without a penalty: what few rows decide, nothing holds back.
_ROWS_WITHOUT_PRIOR = 10
#: Functions in crystals, in units of rows^(1/3) × elements^(1/4), as found on a dozen sets: cells
#: repeat each other, more so the more there are. Molecules in motion do not, and gain by every
#: function that their rows allow.
_IN_CRYSTALS = 32.0
#: Functions on centres of an element for each of its atoms in the data.
_FOR_ATOM = 10
#: Functions on centres of one element, and in all.
_MOST_OF_ELEMENT, _MOST = 1700, 5000
#: Operations of the elimination, 2 × rows × functions².
_MOST_OPERATIONS = 2.5e12
#: A hydrogen atom has one bond: the degree on its centres in units of that of others.
_HYDROGEN = 0.9


@dataclass(frozen=True)
class Facts:
    """What the choice of a basis depends on.

    Args:
        rows: number of labels that are fitted.
        atoms: number of training atoms by symbol, of all elements of the basis.
        molecular: whether most structures of several atoms repeat along no direction.
        nearest: typical shortest distance in Å of every pair of elements, "C-H".
    """

    rows: int
    atoms: dict[str, int]
    molecular: bool
    nearest: dict[str, float]


def facts(
    train: Sequence[Structure],
    symbols: Sequence[str],
    observables: Sequence[str],
    shortest: Sequence[Mapping[str, float]],
) -> Facts:
    """Count what there is.

    Args:
        train: training structures.
        symbols: elements of the basis.
        observables: what is fitted.
        shortest: `shortest_distances` of each structure.
    """
    numbers = np.concatenate([s.numbers for s in train]) if train else np.zeros(0)
    several = [s for s in train if len(s) > 1]
    found: dict[str, list[float]] = {}
    for one in shortest:
        for name, distance in one.items():
            found.setdefault(name, []).append(distance)
    return Facts(
        rows=sum(row_counts(train, observables)),
        atoms={s: int(np.count_nonzero(numbers == atomic_number(s))) for s in symbols},
        molecular=2 * sum(not s.pbc.any() for s in several) > len(several),
        nearest={name: median(distances) for name, distances in found.items()},
    )


def chosen_basis(
    spec: BasisSpec,
    known: Facts,
    without_prior: bool = False,
    in_r0: float = CUTOFF_IN_R0,
    why: str = "",
) -> tuple[BasisSpec, str]:
    """The basis with its degrees, weight of l, cut-offs and r0, where they are open, chosen.

    Args:
        spec: as given, with elements.
        known: about the data.
        without_prior: whether the solver penalises no coefficients.
        in_r0: cut-offs in units of r0.
        why: why these, in words; "": that is always so.

    Returns:
        The basis, not yet resolved, and a line that says what was chosen; "" if nothing was.
    """
    said: list[str] = []
    if known.molecular:
        spec = _distances_of_molecules(spec, known, said)
    if spec.cutoff is None:
        reach = cutoffs(spec, in_r0)
        spec = replace(spec, cutoff=reach)
        said.append(f"cut-offs {_span(reach)}" + f" ({why})" * bool(why))
    if spec.degree is None and not spec.functions and spec.symmetries == (SCALAR,):
        spec = _sized(spec, known, without_prior)
        said[:0] = [f"degree {_shown(spec.degree)}", f"wl {spec.weight_of_l:g}"]
    if not said:
        return spec, ""
    what = "molecules" if known.molecular else "crystals"
    return spec, f"chosen for {known.rows:,} rows of {what}: {', '.join(said)}"


def smaller_basis(spec: BasisSpec, most: int) -> tuple[tuple[float, ...], int]:
    """One row of degrees for all elements that selects no more functions than that.

    Args:
        spec: with elements.
        most: how many.

    Returns:
        The degree of every order, and how many functions there are.
    """
    ladder = _Ladder(replace(spec, pair=replace(spec.pair, degree=None)), molecular=False)

    def degrees(height: float) -> dict[str, tuple[float, ...]]:
        return dict.fromkeys(spec.elements, ladder.degrees(height))

    found = degrees(ladder.highest(lambda h: ladder.total(degrees(h)) <= most))
    return found[spec.elements[0]], ladder.total(found)


def fallen(place: int) -> float:
    """The degree of an order, 0 for the first, in units of the largest, in crystals."""
    return _FALL_IN_CRYSTALS[place]


def cutoffs(spec: BasisSpec, in_r0: float) -> dict[str, float]:
    """A multiple of r0, and no less than reaches the second neighbours of light atoms.

    Args:
        spec: with elements.
        in_r0: how many r0.

    Returns:
        Cut-offs in Å of every ordered pair of elements.
    """
    found = {}
    for a in spec.elements:
        for b in spec.elements:
            names = (f"{a}-{b}", f"{b}-{a}", "default")
            r0 = spec.r0
            if isinstance(r0, dict):
                r0 = next((r0[name] for name in names if name in r0), None)
            if r0 is None:
                lengths = [BOND_LENGTHS.get(atomic_number(s), np.nan) for s in (a, b)]
                r0 = sum(lengths) / 2  # what has none is named when the basis is resolved
            cutoff = in_r0 * r0
            found[f"{a}-{b}"] = cutoff if np.isnan(cutoff) else max(cutoff, _LEAST_CUTOFF)
    return found


def _distances_of_molecules(spec: BasisSpec, known: Facts, said: list[str]) -> BasisSpec:
    """One r0 for all pairs: the shortest bond; the radial functions resolve it and all beyond."""
    if spec.r0 is not None or not known.nearest:
        return spec
    r0 = round(min(known.nearest.values()), 2)
    said.append(f"r0 {r0:g} Å")
    return replace(spec, r0=r0)


def _sized(spec: BasisSpec, known: Facts, without_prior: bool) -> BasisSpec:
    """Degrees whose functions the rows can determine."""
    if spec.wl is None:
        spec = replace(spec, wl=_WL_IN_MOLECULES if known.molecular else WL_WITHOUT_DATA)
    most = min(
        known.rows / (_ROWS_WITHOUT_PRIOR if without_prior else _ROWS_FOR_ONE),
        inf
        if known.molecular
        else _IN_CRYSTALS * known.rows ** (1 / 3) * len(spec.elements) ** 0.25,
        (_MOST_OPERATIONS / 2 / max(known.rows, 1)) ** 0.5,
        _MOST_OF_ELEMENT * len(spec.elements),
        _MOST,
    )
    ladder = _Ladder(spec, known.molecular)
    shares = {s: min(_FOR_ATOM * known.atoms[s], most) for s in spec.elements}
    limits = {s: ladder.highest(partial(ladder.fits_centre, share)) for s, share in shares.items()}

    def degrees(height: float) -> dict[str, tuple[float, ...]]:
        found = {}
        for symbol in spec.elements:
            light = symbol == "H" and len(spec.elements) > 1
            own = min(height * _HYDROGEN if light else height, limits[symbol])
            found[symbol] = ladder.degrees(own)
        return found

    height = ladder.highest(lambda h: ladder.total(degrees(h)) <= most)
    return replace(spec, degree=dict(degrees(height)), bonds_once=same_both_ways(spec))


class _Ladder:
    """Degrees by one number, their height: the largest of them.

    Args:
        spec: with elements, order, weight of l and caps.
        molecular: whether the data are molecules.
    """

    def __init__(self, spec: BasisSpec, molecular: bool) -> None:
        self._spec = spec
        self._fall = (_FALL_IN_MOLECULES if molecular else _FALL_IN_CRYSTALS)[: spec.order]
        self._counted: dict[tuple[int, float], int] = {}

    def degrees(self, height: float) -> tuple[float, ...]:
        """The degree of every order; whole numbers, which are easily repeated by hand."""
        return tuple(float(round(max(height, _LEAST) * f)) for f in self._fall)

    def fits_centre(self, most: float, height: float) -> bool:
        """Whether there are no more functions than that on centres of one element."""
        return self._count(self.degrees(height)) <= most

    def total(self, degrees: Mapping[str, tuple[float, ...]]) -> int:
        """How many functions there are with these degrees, those of pairs included."""
        species, pair = len(degrees), self._spec.pair.degree
        count = int(max(map(max, degrees.values()))) if pair is None else pair
        return sum(map(self._count, degrees.values())) + count * species * (species + 1) // 2

    def highest(self, fits: Callable[[float], bool]) -> float:
        """The largest height that fits, or the smallest there is."""
        steps = 0  # of a length with which degrees grow one at a time
        while _LEAST + _STEP * (steps + 1) <= MAX_DEGREE and fits(_LEAST + _STEP * (steps + 1)):
            steps += 1
        return _LEAST + _STEP * steps

    def _count(self, degrees: tuple[float, ...]) -> int:
        return sum(self._of_order(k, degree) for k, degree in enumerate(degrees, 1))

    def _of_order(self, order: int, degree: float) -> int:
        """Functions of one order, which degrees of the others do not change."""
        if (order, degree) not in self._counted:
            max_n, max_l = (
                cap[:order] if isinstance(cap, tuple) else cap
                for cap in (self._spec.max_n, self._spec.max_l)
            )
            spec = replace(
                self._spec, order=order, degree=(1.0,) * (order - 1) + (degree,), max_n=max_n,
                max_l=max_l, pair=Pair(degree=0), bonds_once=False,
            )  # fmt: skip
            size = basis_size(resolve(spec))[f"order {order}"]
            self._counted[order, degree] = size // len(spec.elements)
        return self._counted[order, degree]


def _shown(degree: Degree | Mapping[str, Degree] | None) -> str:
    """Degrees in a line: that of most elements, and of each that differs."""
    if not isinstance(degree, Mapping):
        return "not set" if degree is None else str(degree)
    kinds = Counter(degree.values()).most_common()
    words = [_row(kinds[0][0])]
    words += [f"{_row(one)} on {symbol}" for symbol, one in degree.items() if one != kinds[0][0]]
    return ", ".join(words)


def _row(degree: Degree) -> str:
    return ",".join(f"{d:g}" for d in (degree if isinstance(degree, tuple) else (degree,)))


def _span(cutoffs: Mapping[str, float]) -> str:
    low, high = min(cutoffs.values()), max(cutoffs.values())
    return f"{low:g} Å" if low == high else f"{low:g} to {high:g} Å"
