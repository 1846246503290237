"""JSON files of ACE1.jl and of the packages it grew from (ACE.jl 0.8, SHIPs.jl 0.7) -> Model.

A potential is E = Σ_i (E0 + Σ_k c_k Re Π_t A_{v_t}) + 1/2 Σ_ij V(r_ij), its functions written
out product by product. Everything in a file is checked before it is used; nothing in it is run.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse import csr_array

from acepot.basis.coupling import Coupling, couplings, multiplicity
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.jet import Jet
from acepot.basis.radial import PolynomialRadial, transformed
from acepot.basis.spec import Envelope, Transform
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError, ModelFileError
from acepot.io.files import opened
from acepot.model import Model
from acepot.structure import Structure

__all__ = ["BasisFile", "StoredTest", "read_ace1", "read_ace1_basis", "read_ace1_tests"]

Floats = NDArray[np.float64]
RadialMatrix = tuple[tuple[PolynomialRadial, ...], ...]  # [centre][neighbour]
Factor = tuple[int, int, int, int]  # n, l, m, atomic number
Spec = dict[tuple[int, int, int], int]  # (n, l, m) -> position in the file

#: Largest file, uncompressed: some 500 000 products, and a few GB of memory while it is read.
_CHARACTERS = 200_000_000
#: Largest correlation order, l, number of radial functions, and depth of nested parts.
_ORDER, _L, _RADIALS, _DEPTH = 6, 30, 1000, 8
#: Most numbers in the couplings of one product: 160 MB.
_COUPLING = 20_000_000
#: Longest cut-off in Å and largest power of an envelope.
_FAR, _POWER = 50.0, 12
#: Numbers beyond this are damage.
_HUGE = 1e100
#: Relative difference of two numbers that mean the same: files hold all digits of doubles.
_SAME = 1e-9
_PACKAGES = ("ACE1", "ACE", "SHIPs", "JuLIP")
#: Why some things that ACE1 writes cannot be read.
_REASONS = {
    "RPIBasis": "a basis without coefficients, for read_ace1_basis",
    "PIPotential": "a potential, for read_ace1",
    "SHIP_v2": "written by SHIPs.jl before 0.7",
    "RepulsiveCore": "its inner core has no counterpart in a model",
}


@dataclass(frozen=True, eq=False)
class StoredTest:
    """A structure in a file with what the program that wrote the file made of it.

    Args:
        structure: atoms and cell.
        energy: energy in eV, shape (1,), or the values of all basis functions, shape (K,).
        forces: in eV/Å, shape (n, 3), if stored.
    """

    structure: Structure
    energy: Floats
    forces: Floats | None


@dataclass(frozen=True, eq=False)
class BasisFile:
    """A basis of rotation-invariant functions without coefficients.

    Functions of one group have the same centre and the same (z, n, l); files leave their
    rotation within the group and their signs open, so only the norm of a group is a fact.

    Args:
        basis: every product Re Π A that occurs.
        functions: coefficients of the products, √|Stab| × orthonormal, shape (K, products).
        group: number of the group of each function, ascending, shape (K,).
        params: how the basis was made, as the file says it.
        tests: structures with the values of all functions.
    """

    basis: ExplicitBasis
    functions: csr_array
    group: NDArray[np.int64]
    params: Mapping[str, Any]
    tests: tuple[StoredTest, ...]


def read_ace1(path: str | Path) -> Model:
    """Read a potential: a PIPotential, or a sum of OneBody, PolyPairPot and PIPotential.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Returns:
        The model, with the products in the file's own order, centre by centre.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds something else; the message says what.
    """
    root = _load(path)
    nodes: dict[str, _Node] = {}
    for node in _components(root):
        if (name := node.kind("OneBody", "PolyPairPot", "PIPotential")) in nodes:
            node.fail(f"expected one {name} in a potential, found two")
        nodes[name] = node
    parts = []
    if "PIPotential" in nodes:
        parts.append(_many_body(nodes["PIPotential"]))
    if "PolyPairPot" in nodes:
        parts.append(_pair_potential(nodes["PolyPairPot"]))
    if not parts:
        root.fail("expected a PIPotential or a PolyPairPot, found neither")
    numbers = parts[0].numbers
    if parts[-1].numbers != numbers:
        root.fail(f"expected parts for the same elements, got {numbers} and {parts[-1].numbers}")
    committees = [part.committee for part in parts if part.committee is not None]
    members = {0 if part.committee is None else len(part.committee) for part in parts}
    if len(members) > 1:
        root.fail("expected committees of one size in all parts of the potential")
    e0 = np.zeros(len(numbers))
    if "OneBody" in nodes:
        energies = nodes["OneBody"].at("E0")
        e0 = np.array([energies.at(SYMBOLS[z]).number() for z in numbers])
    pair = parts[-1].radial if "PolyPairPot" in nodes else None
    return Model(
        ExplicitBasis(numbers, parts[0].radial, parts[0].products, pair),
        np.concatenate([part.coefficients for part in parts]),
        e0,
        np.concatenate(committees, axis=1) if committees else None,
        {"format": "ACE1 JSON", "file": Path(path).name},
    )


def read_ace1_basis(path: str | Path) -> BasisFile:
    """Read an RPIBasis: rotation-invariant functions without coefficients.

    The file holds the products but not their coupling. For every product of factors with
    m = 0, in the file's order, all invariant functions of its (z, n, l) are made.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds something else; the message says what.
    """
    root = _load(path)
    root.kind("RPIBasis")
    inner = root.at("pibasis")
    zs, radial, spec = _one_particle(inner)
    numbers = tuple(sorted(zs))
    order = [zs.index(z) for z in numbers]
    functions = [_sorted_functions(inner, zs, spec, i) for i in order]
    products, starts = _products(functions, numbers)
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    group: list[tuple[int, tuple[Factor, ...]]] = []
    # The file's values follow its own order of the central elements.
    for centre in (order.index(i) for i in range(len(zs))):
        position = {f: starts[centre] + i for i, f in enumerate(functions[centre])}
        for factors in functions[centre]:
            if any(m for _, _, m, _ in factors) or sum(l for _, l, _, _ in factors) % 2:
                continue  # an odd Σl changes sign under inversion
            coupling = _couplings(inner, factors)
            members = _members(inner, factors, coupling.ms, spec, zs, position)
            for value in coupling.values[:, 0].real:
                rows.append(np.full(len(members), len(rows), dtype=np.int64))
                columns.append(members)
                values.append(value)
                group.append((centre, factors))
    if not rows:
        inner.fail("expected at least one invariant function, found none")
    place = (np.concatenate(rows), np.concatenate(columns))
    matrix = csr_array((np.concatenate(values), place), shape=(len(rows), len(products)))
    params = root.get("_params")
    return BasisFile(
        ExplicitBasis(numbers, radial, products),
        matrix,
        _numbered(group),
        {} if params is None else params.table(),
        _tests(root),
    )


def read_ace1_tests(path: str | Path) -> tuple[StoredTest, ...]:
    """The test structures that a file holds beside its potential or basis.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged.
    """
    return _tests(_load(path))


# ---------------------------------------------------------------- values from an untrusted file


@dataclass(frozen=True, eq=False)
class _Node:
    """A value of the file and the way to it.

    Args:
        value: what JSON gave.
        key: ".name" or "[index]" in its parent; of the root, the path of the file.
        parent: the value that holds it.
    """

    value: Any
    key: str
    parent: _Node | None = None

    def fail(self, message: str) -> NoReturn:
        """Raise a ModelFileError that begins with the place."""
        keys, node = [], self
        while node.parent is not None:
            keys.append(node.key)
            node = node.parent
        place = "".join(reversed(keys)).lstrip(".")
        raise ModelFileError(": ".join(filter(None, (node.key, place, message))))

    def table(self) -> dict[str, Any]:
        """The value, which must be a table."""
        if not isinstance(self.value, dict):
            self.fail(f"expected a table, got {reprlib.repr(self.value)}")
        return self.value

    def get(self, key: str) -> _Node | None:
        """The value under a key, or None."""
        table = self.table()
        return _Node(table[key], f".{key}", self) if key in table else None

    def at(self, key: str) -> _Node:
        """The value under a key."""
        if (found := self.get(key)) is None:
            self.fail(f"expected the key {key!r}, got {reprlib.repr(sorted(self.table()))}")
        return found

    def entries(self, low: int = 0, high: int = _CHARACTERS) -> list[Any]:
        """The value, which must be a list of allowed length."""
        if not isinstance(self.value, list):
            self.fail(f"expected a list, got {reprlib.repr(self.value)}")
        if not low <= len(self.value) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            if high == _CHARACTERS:
                wanted = f"at least {low}"
            self.fail(f"expected a list of {wanted} entries, got {len(self.value)}")
        return self.value

    def items(self, low: int = 0, high: int = _CHARACTERS) -> list[_Node]:
        """The entries of a list of allowed length, with their places."""
        return [_Node(v, f"[{i}]", self) for i, v in enumerate(self.entries(low, high))]

    def number(self, low: float = -_HUGE, high: float = _HUGE) -> float:
        """A number in [low, high]."""
        if type(self.value) not in (int, float) or not low <= self.value <= high:
            self.fail(f"expected a number from {low:g} to {high:g}, got {reprlib.repr(self.value)}")
        return float(self.value)

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        if type(self.value) is not int or not low <= self.value <= high:
            wanted = str(low) if low == high else f"an integer from {low} to {high}"
            self.fail(f"expected {wanted}, got {reprlib.repr(self.value)}")
        return int(self.value)

    def numbers(self, low: int = 0, high: int = _CHARACTERS) -> Floats:
        """A list of finite numbers, shape (length,)."""
        entries = self.entries(low, high)
        for i, value in enumerate(entries):
            if type(value) not in (int, float) or not -_HUGE <= value <= _HUGE:
                _Node(value, f"[{i}]", self).number()
        return np.array(entries, dtype=float)

    def kind(self, *expected: str) -> str:
        """The name in `__id__` without its package, which must be one of those expected."""
        found = self.at("__id__").value
        package, _, name = found.partition("_") if isinstance(found, str) else ("", "", "")
        if package not in _PACKAGES or name not in expected:
            reason = f" ({_REASONS[name]})" if name in _REASONS else ""
            self.fail(f"expected {' or '.join(expected)}, found {reprlib.repr(found)}{reason}")
        return name


def _load(path: str | Path) -> _Node:
    """The file as JSON; NaN and infinities are refused."""
    try:
        with opened(path) as text:
            content = text.read(_CHARACTERS + 1)
        if len(content) > _CHARACTERS:
            raise ModelFileError(f"{path}: expected at most {_CHARACTERS} characters, got more")
        return _Node(json.loads(content, parse_constant=_refuse), str(path))
    except InputError as error:
        if not Path(path).is_file():
            raise
        raise ModelFileError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a JSON file: {error}") from error
    except MemoryError as error:
        raise ModelFileError(f"{path}: too large for the memory of this computer") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"expected finite numbers, got {name}")


def _components(node: _Node, depth: int = 0) -> list[_Node]:
    """The parts of a potential, out of all containers."""
    table = node.table()
    if depth > _DEPTH:
        node.fail(f"expected at most {_DEPTH} nested containers")
    if "__id__" not in table:
        for key in ("IP", "potential"):
            if key in table:
                return _components(node.at(key), depth + 1)
        node.fail(f"expected '__id__', 'IP' or 'potential', got {reprlib.repr(sorted(table))}")
    if node.kind("SumIP", "OneBody", "PolyPairPot", "PIPotential") != "SumIP":
        return [node]
    return [p for item in node.at("components").items() for p in _components(item, depth + 1)]


def _zlist(node: _Node) -> list[int]:
    """Atomic numbers in the file's order."""
    node.kind("SZList", "ZList")
    zs = [item.integer(1, len(SYMBOLS) - 1) for item in node.at("list").items(1, len(SYMBOLS))]
    if len(set(zs)) < len(zs):
        node.fail(f"expected every element once, got {zs}")
    return zs


def _vector(node: _Node) -> Floats:
    """Real numbers, as a plain list or in ACE1's wrapping, shape (length,)."""
    if isinstance(node.value, list):
        return node.numbers()
    node.kind("VectorOfNumber", "ArrayOfNumber")
    real = node.at("real").numbers()
    if (imaginary := node.get("imag")) is not None and imaginary.numbers().any():
        node.fail("expected real numbers, got complex ones")
    if (size := node.get("size")) is not None:
        shape = [item.integer(0, _CHARACTERS) for item in size.items(1, 2)]
        if prod(shape) != len(real):
            size.fail(f"expected the size of {len(real)} numbers, got {shape}")
    return real


# ---------------------------------------------------------------- radial functions


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
            jet = transformed(self.transform, self.inner, self.r0, Jet.variable(np.array([r])))
        return float(jet.value[0]) * self.slope + self.offset


def _coordinate(node: _Node, depth: int = 0) -> _Coordinate:
    if depth > _DEPTH:
        node.fail(f"expected at most {_DEPTH} nested transforms")
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
        return _Coordinate(Transform("identity"), 0.0, 1.0)
    r0, p = node.at("r0").number(1e-3, _FAR), node.at("p").number(1e-3, 50.0)
    if name == "PolyTransform":
        offset_node = node.get("a")  # always 1 before ACE1
        shift = 1.0 if offset_node is None else offset_node.number(0.0, _FAR)
        return _Coordinate(Transform("polynomial", p=p, offset=shift), 0.0, r0)
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
    return _Coordinate(Transform("agnesi", p, q), begin, r0)


def _polynomials(node: _Node, trans: _Node) -> PolynomialRadial:
    """P_1 = A_1 (t - t_l)^p_l (t - t_r)^p_r, P_n = (A_n t + B_n) P_{n-1} + C_n P_{n-2}.

    With t_in and t_out the ends towards small and large r and h = (t_out - t_in)/2, ours is
    x = (t - t_in)/h - 1: the factors of P_1 are h (x + 1) and -h (1 - x), A_n t + B_n is
    A_n h x + A_n (t_in + h) + B_n.

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
    a = family.at("A").numbers(1, _RADIALS)
    b, c = (family.at(key).numbers(len(a))[: len(a)] for key in "BC")
    h = (t_out - t_in) / 2
    envelope, factor, cutoff = _envelope(node, t, cutoff, (t_in, p_in), (t_out, p_out))
    if p_in:
        inner = _inner_end(node, t, inner, t_in, abs(h))
    elif t.transform.kind == "agnesi":
        inner = t.inner
    recurrence = np.zeros((3, len(a)))
    with np.errstate(all="ignore"):
        recurrence[0] = a * h
        recurrence[1, 1:] = (a * (t_in + h) + b)[1:]
        recurrence[2, 2:] = c[2:]
        recurrence[0, 0] = a[0] * factor * h ** (p_in + p_out) * (-1) ** p_out
        scale = t.slope / h
        shift = (t.offset - t_in) / h - 1.0
    radial = PolynomialRadial(recurrence, t.transform, scale, shift, envelope, inner, t.r0, cutoff)
    _check(node, radial)
    return radial


def _envelope(
    node: _Node,
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
        return Envelope("r", 0, p), (r0 / t.r0) ** p, cutoff
    if not p_out:
        node.fail("expected functions that vanish at ru, got a power of 0 there")
    envelope = Envelope("x", p_in, p_out)
    gap = (t(cutoff) - t_out) / (t_out - t_in)
    if abs(gap) <= _SAME:
        return envelope, 1.0, cutoff
    # With a cut-off of its own for every pair, ru is the longest of them.
    begin = max(node.at("rl").number(), t.inner)
    if not (gap > 0 and (t(begin) - t_out) / (t_out - t_in) < 0):
        node.fail(f"expected functions that vanish at ru = {cutoff}, got t = {t(cutoff)} there")
    end = float(brentq(lambda r: t(r) - t_out, begin, cutoff, xtol=1e-13, rtol=1e-14))
    return envelope, 1.0, end


def _inner_end(node: _Node, t: _Coordinate, inner: float, t_in: float, width: float) -> float:
    """Where functions with a power at their inner end begin, in Å."""
    agnesi = t.transform.kind == "agnesi"
    begin = t.inner if agnesi else inner
    if abs(t(begin) - t_in) > _SAME * width:
        what = "rin of the transform" if agnesi else "rl"
        node.fail(f"expected functions that begin at {what} = {begin}, got others")
    return begin


def _check(node: _Node, radial: PolynomialRadial) -> None:
    """Refuse functions without room or with values that are not finite."""
    if not radial.cutoff > max(radial.inner, 0.1) + 0.1:
        node.fail(f"expected room between {radial.inner} Å and the cut-off {radial.cutoff} Å")
    r = np.linspace(max(radial.inner, 0.1), radial.cutoff, 66)[1:-1]
    with np.errstate(all="ignore"):
        jet = radial.evaluate(r)
    if not all(np.isfinite(part).all() for part in (jet.value, jet.first, jet.second)):
        node.fail("expected finite radial functions, got infinite ones")


def _family(nodes: Sequence[_Node], zs: list[int]) -> RadialMatrix:
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
            if _zlist(trans.at("zlist")) != zs:
                trans.fail(f"expected the elements {zs}")
            each = trans.at("transforms").items(len(zs) ** 2, len(zs) ** 2)
            trans = each[centre * len(zs) + neighbour]
        key = (id(node.value), id(trans.value))
        if key not in made:
            made[key] = _polynomials(node, trans)
        return made[key]

    return tuple(tuple(make(i, j) for j in order) for i in order)


# ---------------------------------------------------------------- pair part


@dataclass(frozen=True, eq=False)
class _Part:
    """One potential of a sum.

    Args:
        numbers: atomic numbers, ascending.
        radial: [centre][neighbour]; of a pair potential its pair functions.
        products: of a many-body potential.
        coefficients: in the order of ExplicitBasis, shape (K,).
        committee: shape (M, K), or None.
    """

    numbers: tuple[int, ...]
    radial: RadialMatrix
    products: tuple[ExplicitProduct, ...]
    coefficients: Floats
    committee: Floats | None


def _pair_potential(node: _Node) -> _Part:
    """A PolyPairPot; pairs with fewer functions than others get zeros in their place."""
    basis = node.at("basis")
    basis.kind("PolyPairBasis")
    zs = _zlist(basis.at("zlist"))
    pairs = len(zs) ** 2
    family = _family(basis.at("Pr").items(pairs, pairs), zs)
    order = sorted(range(len(zs)), key=lambda i: zs[i])
    rank = {i: k for k, i in enumerate(order)}
    start, total = {}, 0
    for i in range(len(zs)):
        for j in range(i, len(zs)):
            here, back = family[rank[i]][rank[j]], family[rank[j]][rank[i]]
            if here.count != back.count:
                basis.fail(f"expected as many functions of {zs[i]}-{zs[j]} as of {zs[j]}-{zs[i]}")
            start[i, j] = start[j, i] = total
            total += here.count
    values = _vector(node.at("coeffs"))
    if len(values) != total:
        node.at("coeffs").fail(f"expected {total} coefficients, got {len(values)}")
    most = max(radial.count for row in family for radial in row)
    index = [
        start[order[a], order[b]] + k if k < family[a][b].count else -1
        for a in range(len(zs))
        for b in range(a, len(zs))
        for k in range(most)
    ]  # into coefficients with a zero at the end, for the pairs that have fewer functions
    members = None
    if (stored := _committee(node)) is not None:
        if len(flat := _vector(stored)) % total or not len(flat):
            stored.fail(f"expected {total} coefficients for each member, got {len(flat)}")
        members = flat.reshape(-1, total)
        members = np.pad(members, ((0, 0), (0, 1)))[:, index]
    padded = tuple(tuple(_padded(radial, most) for radial in row) for row in family)
    return _Part(tuple(sorted(zs)), padded, (), np.append(values, 0.0)[index], members)


def _padded(radial: PolynomialRadial, count: int) -> PolynomialRadial:
    """The same functions, followed by zeros."""
    missing = count - radial.count
    return replace(radial, recurrence=np.pad(radial.recurrence, ((0, 0), (0, missing))))


def _committee(node: _Node) -> _Node | None:
    """The committee's coefficients, if there is a committee."""
    found = node.get("committee")
    return None if found is None or found.value in (None, "nothing") else found


# ---------------------------------------------------------------- many-body part


def _one_particle(node: _Node) -> tuple[list[int], RadialMatrix, Spec]:
    """Atomic numbers in the file's order, radial functions, position of every (n, l, m).

    Args:
        node: PIBasis.
    """
    node.kind("PIBasis")
    basis = node.at("basis1p")
    basis.kind("BasicPSH1pBasis")
    zs = _zlist(basis.at("zlist"))
    radial = _family([basis.at("J")], zs)
    harmonics = basis.at("SH")
    harmonics.kind("SHBasis")  # complex, Condon–Shortley
    highest = harmonics.at("maxL").integer(0, _L)
    spec: Spec = {}
    for i, item in enumerate(basis.at("spec").items(1)):
        item.kind("PSH1pBasisFcn")
        n, l, m, _ = _quantum_numbers(item.at("nlmz"))
        if n > radial[0][0].count or l > highest:
            item.fail(f"expected n <= {radial[0][0].count} and l <= {highest}, got {n} and {l}")
        if spec.setdefault((n, l, m), i) != i:
            item.fail(f"expected every (n, l, m) once, got {(n, l, m)} again")
    return zs, radial, spec


def _quantum_numbers(node: _Node) -> Factor:
    """n, l, m and atomic number (0 in the list of one-particle functions)."""
    n, l, m, z = node.items(4, 4)
    high = l.integer(0, _L)
    atomic = z.integer(0, len(SYMBOLS) - 1)
    return n.integer(1, _RADIALS), high, m.integer(-high, high), atomic


def _sorted_functions(
    node: _Node, zs: list[int], spec: Spec, centre: int
) -> list[tuple[Factor, ...]]:
    """The products of one central element in the order of their coefficients.

    Files hold them in any order. They count by order, then by the numbers of their factors:
    position in `spec`, the neighbour's element outermost; factors ascend.

    Args:
        node: PIBasis.
        zs: atomic numbers in the file's order.
        spec: position of every (n, l, m).
        centre: index of the central element in `zs`.
    """
    items = node.at("inner").items(len(zs), len(zs))[centre].items()
    place = {z: i * len(spec) for i, z in enumerate(zs)}
    functions: dict[tuple[int, ...], tuple[Factor, ...]] = {}
    for item in items:
        item.kind("PIBasisFcn")
        item.at("z0").kind("AtomicNumber")
        item.at("z0").at("z").integer(zs[centre], zs[centre])
        numbered = []
        for factor in item.at("oneps").items(1, _ORDER):
            factor.kind("PSH1pBasisFcn")
            n, l, m, z = _quantum_numbers(factor.at("nlmz"))
            if z not in place or (n, l, m) not in spec:
                factor.fail(f"expected a one-particle function of the basis, got {(n, l, m, z)}")
            numbered.append((place[z] + spec[n, l, m], (n, l, m, z)))
        numbered.sort()
        key = (len(numbered), *(number for number, _ in numbered))
        if key in functions:
            item.fail("expected every product once, got it again")
        functions[key] = tuple(factor for _, factor in numbered)
    return [functions[key] for key in sorted(functions)]


def _products(
    functions: list[list[tuple[Factor, ...]]], numbers: tuple[int, ...]
) -> tuple[tuple[ExplicitProduct, ...], list[int]]:
    """All products, centre by centre, and the first of each centre."""
    index = {z: i for i, z in enumerate(numbers)}
    starts = np.cumsum([0, *(len(own) for own in functions)]).tolist()
    products = tuple(
        ExplicitProduct(centre, tuple((index[z], n, l, m) for n, l, m, z in factors))
        for centre, own in enumerate(functions)
        for factors in own
    )
    return products, starts


def _many_body(node: _Node) -> _Part:
    """A PIPotential."""
    zs, radial, spec = _one_particle(node.at("pibasis"))
    numbers = tuple(sorted(zs))
    order = [zs.index(z) for z in numbers]
    functions = [_sorted_functions(node.at("pibasis"), zs, spec, i) for i in order]
    stored = node.at("coeffs").items(len(zs), len(zs))
    coefficients = [_vector(stored[i]) for i in order]
    for i, own, values in zip(order, functions, coefficients, strict=True):
        if len(own) != len(values):
            stored[i].fail(f"expected {len(own)} coefficients, got {len(values)}")
    members = None
    if (committee := _committee(node)) is not None:
        each = committee.items(len(zs), len(zs))
        rows = [
            item.numbers()
            for i, own in zip(order, functions, strict=True)
            for item in each[i].items(len(own), len(own))
        ]
        if len({len(row) for row in rows}) != 1 or not len(rows[0]):
            committee.fail("expected as many members for every coefficient")
        members = np.stack(rows, axis=1)
    products, _ = _products(functions, numbers)
    return _Part(numbers, radial, products, np.concatenate(coefficients), members)


def _couplings(node: _Node, factors: tuple[Factor, ...]) -> Coupling:
    """All couplings of some factors to a scalar."""
    ls = tuple(l for _, l, _, _ in factors)
    size = prod(2 * l + 1 for l in ls)
    if size * multiplicity(ls, (1,) * len(ls), 0) > _COUPLING:
        node.fail(f"expected lower angular momenta in a product of {len(ls)} factors, got {ls}")
    return couplings(ls, tuple(len(list(run)) for _, run in groupby(factors)), 0)


def _numbered(keys: Sequence[object]) -> NDArray[np.int64]:
    """0 for the first run of equal keys, 1 for the next, and so on."""
    runs = [i for i, (_, run) in enumerate(groupby(keys)) for _ in run]
    return np.array(runs, dtype=np.int64)


def _members(
    node: _Node,
    factors: tuple[Factor, ...],
    ms: NDArray[np.int64],
    spec: Spec,
    zs: list[int],
    position: dict[tuple[Factor, ...], int],
) -> NDArray[np.int64]:
    """Numbers of the products of factors with other m, one for each row of ms."""
    place = {z: i for i, z in enumerate(zs)}
    found = []
    for row in ms.tolist():
        named = [(n, l, m, z) for (n, l, _, z), m in zip(factors, row, strict=True)]
        if all((n, l, m) in spec for n, l, m, _ in named):
            named.sort(key=lambda f: (place[f[3]], spec[f[:3]]))
        if (number := position.get(tuple(named))) is None:
            node.fail(f"expected also the product of {named}, it is missing")
        found.append(number)
    return np.array(found, dtype=np.int64)


# ---------------------------------------------------------------- stored tests


def _tests(root: _Node) -> tuple[StoredTest, ...]:
    stored = root.get("_tests")
    return () if stored is None else tuple(_test(node) for node in stored.items())


def _test(node: _Node) -> StoredTest:
    """One structure with its values; the file's cell holds the lattice vectors as columns."""
    atoms, values = node.at("at"), node.at("tests")
    numbers = [item.integer(1, len(SYMBOLS) - 1) for item in atoms.at("Z").items(1)]
    positions = np.array([item.numbers(3, 3) for item in atoms.at("X").items()])
    cell = np.array([item.numbers(3, 3) for item in atoms.at("cell").items(3, 3)]).T
    pbc = [item.value for item in atoms.at("pbc").items(3, 3)]
    if any(type(flag) is not bool for flag in pbc):
        atoms.at("pbc").fail(f"expected true or false, got {reprlib.repr(pbc)}")
    energy = values.at("E")
    found = energy.numbers() if isinstance(energy.value, list) else np.array([energy.number()])
    forces = None
    if (stored := values.get("F")) is not None:
        count = len(numbers)
        forces = np.array([item.numbers(3, 3) for item in stored.items(count, count)])
    try:
        structure = Structure(np.array(numbers), positions, cell, np.array(pbc))
    except InputError as error:
        atoms.fail(str(error))
    return StoredTest(structure, found, forces)
