"""What a basis is, as plain frozen data: the part of a model that users choose.

The same dataclasses are read from `fit.toml` and from the header of a model file; they refuse
impossible values wherever they are made. Nothing here computes; `resolve` checks what needs the
elements and fills in what was left to the defaults, so that a stored specification never
depends on a later version's defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import acepot.basis.pace_family  # noqa: F401 - the families it adds
from acepot.basis.envelope import RepulsiveEnvelope
from acepot.basis.family import Radial
from acepot.basis.irrep import MAX_TOTAL_L, SCALAR, Irrep, irreps
from acepot.basis.radial import Legendre, Orthonormal
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.basis.transform import Agnesi
from acepot.errors import InputError
from acepot.schema import LATER, Settings

#: A number for every ordered pair of elements ("Si-O": centre Si, neighbour O; the reverse
#: pair takes the same number unless it is named), one number for all, or None for the default.
PairNumber = float | dict[str, float] | None

#: A degree: one number for every order, or one per order.
Degree = float | tuple[float, ...]

#: Typical bond lengths in Å by atomic number, 1 to 96: each pair's r0 is the mean of its two
#: elements. Facts: the nearest-neighbour distance in the solid element (He under pressure, At, Rn
#: and Fr as predicted, nobody having made enough of them), and of hydrogen in its molecule.
BOND_LENGTHS: dict[int, float] = {
    1: 0.75, 2: 3.6, 3: 3.0, 4: 2.2, 5: 1.8, 6: 1.4, 7: 1.6, 8: 1.7, 9: 2.1, 10: 3.1, 11: 3.7,
    12: 3.2, 13: 2.9, 14: 2.4, 15: 2.5, 16: 2.3, 17: 2.6, 18: 3.8, 19: 4.6, 20: 3.8, 21: 3.2,
    22: 2.9, 23: 2.6, 24: 2.5, 25: 2.5, 26: 2.5, 27: 2.5, 28: 2.5, 29: 2.6, 30: 2.8, 31: 3.0,
    32: 2.5, 33: 2.7, 34: 2.8, 35: 2.8, 36: 4.0, 37: 4.7, 38: 4.2, 39: 3.6, 40: 3.2, 41: 2.9,
    42: 2.7, 43: 2.7, 44: 2.7, 45: 2.7, 46: 2.8, 47: 2.9, 48: 3.2, 49: 3.4, 50: 2.9, 51: 3.1,
    52: 3.2, 53: 3.2, 54: 4.4, 55: 5.3, 56: 4.3, 57: 3.7, 58: 3.4, 59: 3.7, 60: 3.7, 61: 3.6,
    62: 3.6, 63: 4.0, 64: 3.6, 65: 3.6, 66: 3.5, 67: 3.5, 68: 3.5, 69: 3.5, 70: 3.8, 71: 3.4,
    72: 3.2, 73: 2.9, 74: 2.8, 75: 2.8, 76: 2.7, 77: 2.7, 78: 2.8, 79: 2.9, 80: 3.3, 81: 3.4,
    82: 3.5, 83: 3.3, 84: 3.3, 85: 3.6, 86: 4.5, 87: 5.4, 88: 4.5, 89: 4.0, 90: 3.6, 91: 3.3,
    92: 2.75, 93: 2.6, 94: 2.6, 95: 3.5, 96: 3.5,
}  # fmt: skip

#: Bounds that keep a slip, or a hostile file, from asking for the impossible.
MAX_ORDER, MAX_DEGREE, MAX_L, MAX_CUTOFF = 6, 200, 40, 50.0
#: Shortest cut-off in Å: tables of radial functions begin at half of it.
MIN_CUTOFF = 0.2
#: Cut-off in units of r0 when none is given.
CUTOFF_IN_R0 = 2.5
#: Degree, and weight of l in it, when none is given and no data are there to choose by.
MOST_WITHOUT_DATA, WL_WITHOUT_DATA = 16.0, 1.5


@dataclass(frozen=True)
class Pair(Settings):
    """The separate pair basis: E_i += 1/2 Σ_j Σ_k c_k V_k(r_ij).

    Args:
        degree: number of functions per pair of elements; None: that of the basis, 0: no pair part.
        cutoff: outer cut-off in Å; None: that of the basis.
        inner: inner cut-off in Å; None: that of the basis.
        radial: family, transform and envelope.
    """

    degree: int | None = None
    cutoff: PairNumber = None
    inner: PairNumber = None
    radial: Radial = field(default_factory=lambda: Legendre(Agnesi(1.0, 3.0), RepulsiveEnvelope(2)))

    def check(self) -> None:
        """Refuse an impossible number of functions."""
        if self.degree is not None and not 0 <= self.degree <= MAX_DEGREE:
            raise InputError(f"degree: expected 0 to {MAX_DEGREE}, got {self.degree}")


@dataclass(frozen=True)
class ChosenFunction(Settings):
    """One entry of the user's own list of basis functions.

    Args:
        centre: symbol of the central element.
        elements: symbols of the neighbours' elements, one per factor.
        n: radial indices, from 1.
        l: angular momenta.
    """

    centre: str
    elements: tuple[str, ...]
    n: tuple[int, ...]
    l: tuple[int, ...]  # noqa: E741 - the field's own symbol

    def check(self) -> None:
        """Refuse lists that do not fit together and impossible indices."""
        if not 1 <= len(self.n) == len(self.l) == len(self.elements) <= MAX_ORDER:
            raise InputError(
                f"n: expected elements, n and l of one length from 1 to {MAX_ORDER}, "
                f"got {len(self.elements)}, {len(self.n)} and {len(self.l)}"
            )
        if not 1 <= min(self.n) <= max(self.n) <= MAX_DEGREE:
            raise InputError(f"n: expected 1 to {MAX_DEGREE}, got {list(self.n)}")
        if not 0 <= min(self.l) <= max(self.l) <= MAX_L:
            raise InputError(f"l: expected 0 to {MAX_L}, got {list(self.l)}")


@dataclass(frozen=True)
class BasisChoices(Settings):
    """A complete basis.

    Args:
        elements: chemical symbols; empty: those of the training data.
        order: correlation order ν (body order ν + 1), 1 to 6.
        degree: largest Σ_t (n_t + wl l_t), one number or one per order, or a table of these by
            the element of the central atom, "default" for those not named; None: 16, or what a
            fit chooses for its data.
        wl: weight of l in the degree; None: 1.5, or what a fit chooses for its data.
        max_n: caps on n, one number, one per order, or None.
        max_l: caps on l, likewise.
        functions: the user's own list instead of a degree; empty: select by degree.
        formulation: self-interaction: products of A; canonical: sums over distinct
            neighbours, so an order-ν function vanishes for fewer than ν neighbours.
        extend_lower_orders: add every lower-order function that products of the selected
            ones generate, so that both formulations span the same space.
        total_l: angular momentum L of the functions (0 for energies).
        parity: +1 or -1 under inversion; +1 for energies.
        irreps: several (L, parity) over one set of A's instead of total_l and parity, written
            0e, 1o, 2e …; the functions of each follow those of the one before.
        together: sums A run over neighbours of all elements, which radial functions alone tell
            apart: these must be learned. The number of functions then grows linearly with that of
            elements.
        bonds_once: of two functions of order 1 that are the same sum over bonds in a total energy,
            B around A and A around B, take only that on the lighter element. For energies, and
            where r0 and cut-offs are the same both ways.
        constant: whether the first function of 0e on each centre is the constant 1.
        cutoff: outer cut-off in Å; None: 2.5 r0, or what a fit chooses for its data.
        inner: inner cut-off in Å.
        r0: typical distance in Å; None: mean of the bond lengths of the two elements, or what a
            fit chooses for its data.
        radial: the radial family of the many-body functions.
        pair: the pair basis.
    """

    elements: tuple[str, ...] = ()
    order: int = 3
    degree: Degree | dict[str, Degree] | None = None
    wl: float | None = None
    max_n: int | tuple[int, ...] | None = None
    max_l: int | tuple[int, ...] | None = None
    functions: tuple[ChosenFunction, ...] = ()
    formulation: Literal["self-interaction", "canonical"] = "self-interaction"
    extend_lower_orders: bool = False
    total_l: int = 0
    parity: Literal[1, -1] = 1
    irreps: tuple[str, ...] = field(default=(), metadata=LATER)
    constant: bool = field(default=False, metadata=LATER)
    together: bool = field(default=False, metadata=LATER)
    bonds_once: bool = field(default=False, metadata=LATER)
    cutoff: PairNumber = None
    inner: PairNumber = 0.0
    r0: PairNumber = None
    radial: Radial = field(default_factory=Orthonormal)
    pair: Pair = field(default_factory=Pair)

    def check(self) -> None:
        """Refuse what no elements could make possible."""
        for symbol in self.elements:
            try:
                atomic_number(symbol)
            except InputError as error:
                raise InputError(f"elements: {str(error).partition(': ')[2]}") from None
        if not 1 <= self.order <= MAX_ORDER:
            raise InputError(f"order: expected 1 to {MAX_ORDER}, got {self.order}")
        if not 0 <= self.total_l <= MAX_TOTAL_L:
            raise InputError(f"total_l: expected 0 to {MAX_TOTAL_L}, got {self.total_l}")
        if self.irreps and (self.total_l, self.parity) != SCALAR:
            raise InputError("irreps: not together with total_l and parity; name all in irreps")
        if SCALAR not in self.symmetries and self.constant:
            raise InputError("constant: the constant function is a scalar; add 0e to irreps")
        if self.bonds_once and self.symmetries != (SCALAR,):
            raise InputError("bonds_once: only energies are sums over bonds; leave it false")
        if self.together:
            self._check_together()
        if not self.weight_of_l > 0:
            raise InputError(f"wl: expected a positive number, got {self.wl}")
        self._check_degree()
        if self.max_n is not None:
            _per_order("max_n", self.max_n, self.order)
        if self.max_l is not None and max(_per_order("max_l", self.max_l, self.order)) > MAX_L:
            raise InputError(f"max_l: expected numbers up to {MAX_L}, got {self.max_l}")

    def _check_together(self) -> None:
        for name, wrong in (
            ("bonds_once", self.bonds_once),
            ("functions", bool(self.functions)),
            ("extend_lower_orders", self.extend_lower_orders),
            ("formulation", self.formulation != "self-interaction"),
        ):
            if wrong:
                raise InputError(
                    f"{name}: not with together, whose sums over neighbours of all elements are "
                    "for products of A that a degree selects"
                )

    def _check_degree(self) -> None:
        if isinstance(self.degree, dict):
            if not self.degree:
                raise InputError("degree: expected elements or default, got an empty table")
            for name in sorted(set(self.degree) - {"default"}):
                try:
                    atomic_number(name)
                except InputError as error:
                    raise InputError(f"degree: {str(error).partition(': ')[2]}") from None
            every = [(f"degree.{name}", one) for name, one in self.degree.items()]
        else:
            every = [("degree", MOST_WITHOUT_DATA if self.degree is None else self.degree)]
        for name, one in every:
            most = max(_per_order(name, one, self.order))
            if most > MAX_DEGREE or self.weight_of_l * MAX_L < most and self.max_l is None:
                raise InputError(
                    f"{name}: expected at most {MAX_DEGREE} and wl of at least degree/{MAX_L}, "
                    f"got {most:g} and {self.weight_of_l:g}; use max_l where wl is small"
                )

    @property
    def weight_of_l(self) -> float:
        """The weight of l in the degree."""
        return WL_WITHOUT_DATA if self.wl is None else self.wl

    def degrees_of(self, centre: str) -> tuple[float, ...]:
        """The degree of every order on central atoms of one element.

        Raises:
            InputError: a table of degrees has neither this element nor a default.
        """
        given: Degree | None
        if isinstance(self.degree, dict):
            given = self.degree.get(centre, self.degree.get("default"))
            if given is None:
                raise InputError(
                    f"basis.degree: no value for {centre}; add {centre} = ... or default = ..."
                )
        else:
            given = self.degree
        return _per_order("degree", MOST_WITHOUT_DATA if given is None else given, self.order)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements, ascending."""
        return tuple(sorted(atomic_number(symbol) for symbol in self.elements))

    @property
    def symmetries(self) -> tuple[Irrep, ...]:
        """The (L, parity) of the functions, in their order."""
        return irreps(self.irreps) or (Irrep(self.total_l, self.parity),)

    @property
    def has_pairs(self) -> bool:
        """Whether there are pair functions, which belong to true scalars."""
        return bool(self.pair.degree) and SCALAR in self.symmetries


def pair_number(value: PairNumber, centre: str, neighbour: str, name: str) -> float:
    """The number that holds for one ordered pair of elements.

    Raises:
        InputError: neither this pair, its reverse, nor "default" is given.
    """
    if isinstance(value, dict):
        for key in (f"{centre}-{neighbour}", f"{neighbour}-{centre}", "default"):
            if key in value:
                return float(value[key])
    elif value is not None:
        return float(value)
    raise InputError(
        f'{name}: no value for the pair {centre}-{neighbour}; add "{centre}-{neighbour}" = ... '
        'or "default" = ...'
    )


B = TypeVar("B", bound=BasisChoices)


def resolve(spec: B) -> B:
    """The same basis with every default written out and every value checked.

    Args:
        spec: with at least one element.

    Returns:
        A specification in which elements are sorted by atomic number, degrees are given per
        order and cut-offs, inner cut-offs and r0 for every ordered pair.

    Raises:
        InputError: a value is impossible; the message names it.
    """
    if not spec.elements:
        raise InputError("basis.elements: expected at least one chemical symbol")
    symbols = tuple(SYMBOLS[z] for z in dict.fromkeys(spec.numbers))
    for name, value in (
        ("basis.r0", spec.r0),
        ("basis.cutoff", spec.cutoff),
        ("basis.inner", spec.inner),
        ("basis.pair.cutoff", spec.pair.cutoff),
        ("basis.pair.inner", spec.pair.inner),
    ):
        _check_pairs(name, value, symbols)
    r0 = {}
    for a, b in _pairs(symbols):
        named = isinstance(spec.r0, dict) and {f"{a}-{b}", f"{b}-{a}", "default"} & set(spec.r0)
        given = named or isinstance(spec.r0, (int, float))
        r0[a, b] = pair_number(spec.r0, a, b, "basis.r0") if given else _bond_length(a, b)
    cutoff = _resolved("basis.cutoff", spec.cutoff, {p: CUTOFF_IN_R0 * r for p, r in r0.items()})
    inner = _resolved("basis.inner", spec.inner, dict.fromkeys(r0, 0.0))
    pair = spec.pair
    pair_cutoff = _resolved("basis.pair.cutoff", pair.cutoff, cutoff)
    pair_inner = _resolved("basis.pair.inner", pair.inner, inner)
    if spec.bonds_once:
        _check_both_ways({"r0": r0, "cutoff": cutoff, "inner": inner})
    for (a, b), distance in r0.items():
        for name, low, high in (("basis", inner, cutoff), ("basis.pair", pair_inner, pair_cutoff)):
            if not (0 <= low[a, b] < high[a, b] and MIN_CUTOFF <= high[a, b] <= MAX_CUTOFF):
                raise InputError(
                    f"{name}.inner and {name}.cutoff of {a}-{b}: expected 0 <= inner < cutoff "
                    f"and a cutoff of {MIN_CUTOFF} to {MAX_CUTOFF} Å, got {low[a, b]} and "
                    f"{high[a, b]}"
                )
            if not low[a, b] < distance:
                raise InputError(
                    f"basis.r0 of {a}-{b}: expected more than the inner cut-off {low[a, b]}, "
                    f"got {distance}"
                )
    degree = _resolved_degree(spec, symbols)
    largest = max(max(spec.degrees_of(symbol)) for symbol in symbols)
    pair_degree = int(largest) if pair.degree is None else pair.degree
    for name, radial in (("basis", spec.radial), ("basis.pair", pair.radial)):
        if radial.envelope_order == 0:
            raise InputError(
                f"{name}.radial.family: {radial.kind} does not vanish at the cut-off; it is for "
                "reading files only, use cheb_pow"
            )
    if SCALAR not in spec.symmetries:
        pair_degree = 0  # pair energies are scalars
    return replace(
        spec,
        elements=symbols,
        degree=degree,
        wl=spec.weight_of_l,
        max_n=None if spec.max_n is None else _per_order("max_n", spec.max_n, spec.order, int),
        max_l=None if spec.max_l is None else _per_order("max_l", spec.max_l, spec.order, int),
        cutoff=_named(cutoff),
        inner=_named(inner),
        r0=_named(r0),
        pair=replace(
            pair, degree=pair_degree, cutoff=_named(pair_cutoff), inner=_named(pair_inner)
        ),
    )


def _resolved_degree(
    spec: BasisChoices, symbols: tuple[str, ...]
) -> tuple[float, ...] | dict[str, Degree]:
    """The degrees per order, by element only where the elements differ."""
    if isinstance(spec.degree, dict) and (
        unknown := sorted(set(spec.degree) - {*symbols, "default"})
    ):
        raise InputError(
            f"basis.degree: expected {', '.join(symbols)} or default, got {', '.join(unknown)}"
        )
    found = {symbol: spec.degrees_of(symbol) for symbol in symbols}
    if len(set(found.values())) == 1:
        return found[symbols[0]]
    return dict(found)


def _pairs(symbols: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(a, b) for a in symbols for b in symbols]


def _check_pairs(name: str, value: PairNumber, symbols: tuple[str, ...]) -> None:
    """Refuse names of pairs that a basis does not have, which may be slips."""
    known = {f"{a}-{b}" for a, b in _pairs(symbols)} | {"default"}
    if isinstance(value, dict) and (unknown := sorted(set(value) - known)):
        raise InputError(
            f"{name}: expected pairs of {', '.join(symbols)} or default, such as "
            f"{symbols[0]}-{symbols[-1]}, got {', '.join(unknown)}"
        )


def same_both_ways(spec: BasisChoices) -> bool:
    """Whether every distance that is given for A-B holds for B-A too, as `bonds_once` needs.

    Args:
        spec: as given, with or without elements.
    """
    for table in (spec.r0, spec.cutoff, spec.inner):
        if isinstance(table, dict):
            for key, value in table.items():
                a, dash, b = key.partition("-")
                if dash and table.get(f"{b}-{a}", value) != value:
                    return False
    return True


def _check_both_ways(tables: dict[str, dict[tuple[str, str], float]]) -> None:
    """Functions of B around A and A around B are equal only if their distances are."""
    for name, values in tables.items():
        for (a, b), value in values.items():
            if value != values[b, a]:
                raise InputError(
                    f"basis.bonds_once: basis.{name} of {a}-{b} is {value:g} and of {b}-{a} "
                    f"{values[b, a]:g}, so their functions differ; set bonds_once = false"
                )


def _named(values: dict[tuple[str, str], float]) -> dict[str, float]:
    return {f"{a}-{b}": value for (a, b), value in values.items()}


def _resolved(
    name: str, value: PairNumber, default: dict[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    if value is None:
        return dict(default)
    return {pair: pair_number(value, *pair, name) for pair in default}


def _bond_length(a: str, b: str) -> float:
    lengths = []
    for symbol in (a, b):
        if (length := BOND_LENGTHS.get(atomic_number(symbol))) is None:
            raise InputError(
                f"basis.r0: no typical distance is known for {symbol}; give one in Å, "
                f'r0 = {{"{symbol}-{symbol}" = 3.5}} in [basis] of a TOML file or '
                f"--r0 {symbol}-{symbol}=3.5 on the command line"
            )
        lengths.append(length)
    return sum(lengths) / 2


def _per_order(
    name: str, value: float | tuple[float, ...], order: int, kind: type = float
) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, tuple) else (value,) * order
    if len(values) != order:
        raise InputError(
            f"{name}: expected one number or {order} (one per order), got {len(values)}"
        )
    if any(not float(v) >= 0 for v in values):
        raise InputError(f"{name}: expected numbers of 0 or more, got {values}")
    return tuple(kind(v) for v in values)
