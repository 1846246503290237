"""Which functions enter a basis: by total degree, by caps, or the user's own list.

A factor is (l, radial, z): angular momentum, the radial indices whose product is its radial
function (one index for an ordinary R_n), and the neighbour's species. A selected function
is a sorted tuple of factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, groupby

from acepot.basis.choices import BasisChoices, ChosenFunction
from acepot.basis.coupling import multiplicity
from acepot.basis.irrep import SCALAR, Irrep
from acepot.errors import InputError

#: No basis of this size could be fitted; the limit stops a slip in the degree early.
MAX_FUNCTIONS = 1_000_000

#: How many sets of factors may be looked at for each that may be selected, and besides.
_LOOKS, _FEW = 50, 2000

Factor = tuple[int, tuple[int, ...], int]
Factors = tuple[Factor, ...]


def group_sizes(factors: Factors) -> tuple[int, ...]:
    """Sizes of the runs of equal factors in a sorted tuple."""
    return tuple(len(list(run)) for _, run in groupby(factors))


def independent(factors: Factors, total_l: int) -> int:
    """Number of independent functions of total L with these factors."""
    return multiplicity(tuple(f[0] for f in factors), group_sizes(factors), total_l)


def select(
    spec: BasisChoices, irrep: Irrep | None = None, limit: int | None = None
) -> dict[int, list[Factors]]:
    """The functions of one (L, parity) of every central species.

    With a degree: all with Σ_t (n_t + wl l_t) <= degree[ν] of the centre, n_t >= 1,
    (-1)^Σl = parity and at least one coupling to L. An (L, parity) that nothing couples to has no
    functions.

    Args:
        spec: a resolved specification.
        irrep: one of `spec.symmetries`; None: the first.
        limit: refuse to select more functions than this for one centre.

    Returns:
        For each species index the factors, ordered by correlation order, then factors.

    Raises:
        InputError: more than the limit, no function at all in a basis of scalars alone, or the
            user's list cannot be coupled.
    """
    irrep = spec.symmetries[0] if irrep is None else irrep
    limit = MAX_FUNCTIONS if limit is None else limit
    if spec.functions:
        chosen = _from_list(spec, irrep)
    else:
        found: dict[tuple[float, ...], list[Factors]] = {}
        for degrees in map(spec.degrees_of, spec.elements):
            if degrees not in found:
                found[degrees] = _by_degree(spec, degrees, irrep, limit)
        chosen = {z: found[spec.degrees_of(name)] for z, name in enumerate(spec.elements)}
    if spec.extend_lower_orders:
        chosen = {z: _closed(spec, functions, irrep, limit) for z, functions in chosen.items()}
    if spec.bonds_once:
        chosen = _without_copies(chosen)
    if spec.symmetries == (SCALAR,) and not spec.constant and not any(chosen.values()):
        raise InputError(
            f"basis: order {spec.order} and degree {spec.degree} select no function; "
            "raise the degree or the caps"
        )
    return {z: sorted(functions, key=lambda f: (len(f), f)) for z, functions in chosen.items()}


def _without_copies(chosen: dict[int, list[Factors]]) -> dict[int, list[Factors]]:
    """Without the functions of order 1 that the same bonds give on a species before."""
    known = {z: set(functions) for z, functions in chosen.items()}

    def is_copy(centre: int, factors: Factors) -> bool:
        l, radial, neighbour = factors[0]  # noqa: E741
        before = len(factors) == 1 and neighbour < centre
        return before and ((l, radial, centre),) in known[neighbour]

    return {z: [f for f in functions if not is_copy(z, f)] for z, functions in chosen.items()}


def basis_size(spec: BasisChoices, limit: int | None = None) -> dict[str, int]:
    """How large a basis would be, without building it.

    Args:
        spec: a resolved specification.
        limit: as of `select`.

    Returns:
        Functions per order ("order 1" …), "pair" and "total", over all central species and
        every (L, parity); "constant" where there are any.
    """
    sizes = {f"order {order}": 0 for order in range(1, spec.order + 1)}
    for irrep in spec.symmetries:
        for functions in select(spec, irrep, limit).values():
            for factors in functions:
                sizes[f"order {len(factors)}"] += independent(factors, irrep.l)
    species = len(spec.elements)
    sizes["pair"] = (spec.pair.degree or 0) * species * (species + 1) // 2 * spec.has_pairs
    if spec.constant:
        sizes["constant"] = species
    sizes["total"] = sum(sizes.values())
    return sizes


def irrep_sizes(spec: BasisChoices, limit: int | None = None) -> tuple[int, ...]:
    """How many functions each (L, parity) of a basis would have, without building it.

    Args:
        spec: a resolved specification.
        limit: as of `select`.
    """
    species, found = len(spec.elements), []
    for irrep in spec.symmetries:
        chosen = select(spec, irrep, limit)
        count = sum(independent(f, irrep.l) for functions in chosen.values() for f in functions)
        if irrep == SCALAR:
            count += species * spec.constant
            count += (spec.pair.degree or 0) * species * (species + 1) // 2
        found.append(count)
    return tuple(found)


def _allowed(irrep: Irrep, factors: Factors) -> bool:
    parity = (-1) ** sum(f[0] for f in factors)
    return parity == irrep.parity and independent(factors, irrep.l) > 0


def _by_degree(
    spec: BasisChoices, degrees: tuple[float, ...], irrep: Irrep, limit: int
) -> list[Factors]:
    functions: list[Factors] = []
    looked_at = 0
    for order in range(1, spec.order + 1):
        for factors in _multisets(spec, order, degrees[order - 1]):
            looked_at += 1
            if _allowed(irrep, factors):
                functions.append(factors)
            # Where little couples to L, what is looked at bounds the time.
            _check_limit(max(len(functions), looked_at // _LOOKS - _FEW), limit)
    return functions


def _check_limit(count: int, limit: int) -> None:
    if count > limit:
        raise InputError(
            f"basis: it selects more than {limit} sets of factors for one element; "
            "lower the degree or the caps"
        )


def _multisets(spec: BasisChoices, order: int, degree: float) -> Iterator[Factors]:
    """All sorted tuples of `order` factors within the degree and the caps."""
    max_n = spec.max_n[order - 1] if isinstance(spec.max_n, tuple) else degree
    max_l = spec.max_l[order - 1] if isinstance(spec.max_l, tuple) else degree / spec.weight_of_l
    tolerance = 1e-9 * max(1.0, degree)  # degrees such as 3 × 1.1 are inclusive
    limit = degree + tolerance

    wl = spec.weight_of_l

    def cost(factor: Factor) -> float:
        return factor[1][0] + wl * factor[0]

    room = limit - (order - 1)  # every other factor costs at least n = 1
    singles = [
        (l, (n,), z)
        for l in range(int(max_l) + 1)  # noqa: E741
        for n in range(1, int(min(max_n, room)) + 1)
        for z in ((-1,) if spec.together else range(len(spec.elements)))
        if n + wl * l <= room
    ]
    costs = [cost(f) for f in singles]

    def extend(start: int, chosen: tuple[int, ...], used: float) -> Iterator[Factors]:
        if len(chosen) == order:
            yield tuple(singles[i] for i in chosen)
            return
        reserve = order - len(chosen) - 1
        for i in range(start, len(singles)):
            if used + costs[i] + reserve <= limit:
                yield from extend(i, (*chosen, i), used + costs[i])

    yield from extend(0, (), 0.0)


def _from_list(spec: BasisChoices, irrep: Irrep) -> dict[int, list[Factors]]:
    index = {symbol: z for z, symbol in enumerate(spec.elements)}
    chosen: dict[int, dict[Factors, None]] = {z: {} for z in range(len(spec.elements))}
    for number, function in enumerate(spec.functions):
        factors = _chosen_factors(spec, function, index, f"basis.functions[{number}]")
        if _allowed(irrep, factors):
            chosen[index[function.centre]][factors] = None
    return {z: list(functions) for z, functions in chosen.items()}


def _chosen_factors(
    spec: BasisChoices, function: ChosenFunction, index: dict[str, int], where: str
) -> Factors:
    if unknown := ({function.centre, *function.elements} - set(index)):
        raise InputError(
            f"{where}: {', '.join(sorted(unknown))} is not among basis.elements {list(index)}"
        )
    lengths = {len(function.elements), len(function.n), len(function.l)}
    if len(lengths) != 1 or not 1 <= len(function.n) <= spec.order:
        raise InputError(
            f"{where}: expected elements, n and l of one length from 1 to the order {spec.order}"
        )
    if min(function.n) < 1 or min(function.l) < 0:
        raise InputError(f"{where}: expected n >= 1 and l >= 0, got {function.n}, {function.l}")
    rows = zip(function.l, function.n, function.elements, strict=True)
    factors = tuple(sorted((l, (n,), index[z]) for l, n, z in rows))  # noqa: E741
    if not any(_allowed(irrep, factors) for irrep in spec.symmetries):
        raise InputError(
            f"{where}: l = {list(function.l)} cannot be coupled to "
            + " or ".join(f"L = {i.l} with parity {i.parity:+d}" for i in spec.symmetries)
        )
    return factors


def _closed(
    spec: BasisChoices, functions: list[Factors], irrep: Irrep, limit: int
) -> list[Factors]:
    """The functions with all lower-order ones that coinciding neighbours generate.

    Two factors on one neighbour are one factor whose Y is a sum over L and whose radial
    function is the product: within the family's own span where it is polynomial, otherwise
    an explicit product.
    """
    seen = dict.fromkeys(functions)
    queue = list(functions)
    while queue:
        factors = queue.pop()
        for s, t in combinations(range(len(factors)), 2):
            (l1, a, z1), (l2, b, z2) = factors[s], factors[t]
            if z1 != z2:
                continue
            rest = tuple(f for i, f in enumerate(factors) if i not in (s, t))
            joined = tuple(sorted(a + b))
            highest = spec.radial.degree_of_product(joined)
            radials = [joined] if highest is None else [(n,) for n in range(1, highest + 1)]
            for l in range(abs(l1 - l2), l1 + l2 + 1, 2):  # noqa: E741
                for radial in radials:
                    new = tuple(sorted((*rest, (l, radial, z1))))
                    if new not in seen and _allowed(irrep, new):
                        seen[new] = None
                        _check_limit(len(seen), limit)
                        queue.append(new)
    return list(seen)
