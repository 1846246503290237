"""Potentials of pacemaker in its B-basis (`.yaml`), as trees of a `.yace` and function by function.

A B-function is B = Σ_m g(m) Π_t A_{μ_t n_t l_t m_t} with the generalised Clebsch–Gordan
coefficients of a coupling scheme (Dusson et al., J. Comput. Phys. 454, 110946 (2022), 3; Bochkarev
et al., Phys. Rev. Materials 6, 013804 (2022), II C): pairs of factors are coupled first, then their
results, then a factor that is left; `lint` lists the intermediate L in this order. A `.yace` has
the same functions with c g(m) in place of c.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import pi

import numpy as np
from numpy.typing import NDArray

from acepot.basis.coupling import clebsch_gordan
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.errors import ModelFileError
from acepot.io.document import WordItem
from acepot.io.pace import bonds
from acepot.io.pace.potential import model_from
from acepot.model import Model, TensorModel

__all__ = ["BFunction", "functions_of", "is_bbasis", "projections_from", "yace_tree"]

#: Factors of a function.
_RANK = 6
#: What pacemaker takes where a block does not say.
_CORE_LIMIT, _CORE_WIDTH = "100000", "250"
#: Names of a block of one or two elements, and what a .yace calls them.
_BOND = {
    "nradmaxi": "nradmax", "lmaxi": "lmax", "nradbaseij": "nradbasemax", "radbase": "radbasename",
    "radparameters": "radparameters", "rcutij": "rcut", "dcutij": "dcut",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class BFunction:
    """One B-function, as its C-tilde functions with g(m).

    Args:
        centre: index of the central element in the file's order.
        mus: those of the neighbours.
        ns: radial indices.
        ls: angular momenta.
        lint: intermediate angular momenta of the coupling.
        ms: m of every factor, one row for each product; of m and -m the one whose first m that is
            not 0 is positive.
        weights: g(m), twice that of a product which stands for its mirror image, too.
        coefficients: c of each density, as they are written.
    """

    centre: int
    mus: tuple[int, ...]
    ns: tuple[int, ...]
    ls: tuple[int, ...]
    lint: tuple[int, ...]
    ms: NDArray[np.int64]
    weights: NDArray[np.float64]
    coefficients: tuple[float, ...]


def is_bbasis(root: WordItem) -> bool:
    """Whether a document is a potential in the B-basis."""
    return isinstance(root.value, dict) and {"species", "global"} <= set(root.value)


def functions_of(root: WordItem) -> tuple[list[str], list[BFunction]]:
    """The elements in alphabetical order, and its functions in the order of PACE's active sets.

    They are sorted by centre, number of factors, neighbours, n, l and intermediate l.

    Args:
        root: of the document.

    Raises:
        ModelFileError: contents that are impossible or do not fit together.
    """
    blocks = root.at("species").items(1)
    names = [block.at("speciesblock").word().split() for block in blocks]
    elements = sorted({name[0] for name in names if len(name) == 1})
    found: list[BFunction] = []
    for block in blocks:
        listed = block.get("nbody")
        # A block without functions has the word "" after its key.
        for item in [] if listed is None or listed.value in ("", None) else listed.items():
            found.append(_function(item, elements))
    found.sort(key=lambda one: (one.centre, len(one.ls), one.mus, one.ns, one.ls, one.lint))
    return elements, found


def _function(item: WordItem, elements: list[str]) -> BFunction:
    symbols = item.at("type").word().split()
    unknown = [s for s in symbols if s not in elements]
    if len(symbols) < 2 or unknown:
        item.at("type").fail(f"expected two or more of {', '.join(elements)}, got {symbols}")
    rank = len(symbols) - 1
    if rank > _RANK:
        item.at("type").fail(f"expected up to {_RANK} neighbours, got {rank}")
    ns = item.at("nr").integers(1, bonds.MAX_COUNT, rank)
    ls = item.at("nl").integers(0, bonds.MAX_L, rank)
    stored = item.get("lint")
    given = [] if stored is None else stored.integers(0, 6 * bonds.MAX_L, len(stored.entries()))
    lint = tuple(given[: max(rank - 2, 0)])
    coupling = _coupling(tuple(ls), lint, item)
    ms, weights = _half(coupling, tuple(ls))
    order = [elements.index(s) for s in symbols]
    node = item.at("c")  # a number where there is one density
    c = tuple(node.numbers(1).tolist()) if isinstance(node.value, list) else (node.number(),)
    return BFunction(order[0], tuple(order[1:]), tuple(ns), tuple(ls), lint, ms, weights, c)


def _coupling(ls: tuple[int, ...], lint: tuple[int, ...], item: WordItem) -> NDArray[np.float64]:
    """g(m_1 … m_ν), indexed by m_t + l_t; zero where Σm is not 0."""
    rank = len(ls)
    if len(lint) < rank - 2:
        item.fail(f"expected {rank - 2} numbers in lint, got {len(lint)}")
    if rank == 1:
        ok, out = ls == (0,), np.ones(1)
    elif rank == 2:
        ok, out = ls[0] == ls[1], _zero(ls[0], ls[1])
    elif rank == 3:
        ok = lint[0] == ls[2]
        out = np.einsum("abL,Lc->abc", clebsch_gordan(ls[0], ls[1], lint[0]), _zero(lint[0], ls[2]))
    else:
        left, right = (
            clebsch_gordan(a, b, total)
            for a, b, total in ((ls[0], ls[1], lint[0]), (ls[2], ls[3], lint[1]))
        )
        out, ok = _of_pairs(left, right, ls, lint)
    if not ok or not out.any():
        item.fail(f"expected l that couple to 0, got nl = {list(ls)} with lint = {list(lint)}")
    return out


def _of_pairs(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    ls: tuple[int, ...],
    lint: tuple[int, ...],
) -> tuple[NDArray[np.float64], bool]:
    """Two coupled pairs, and one or two factors more, coupled to 0; whether their l allow it."""
    if len(ls) == 4:
        return np.einsum("abL,cdM,LM->abcd", left, right, _zero(*lint)), lint[0] == lint[1]
    if len(ls) == 5:
        both, last = clebsch_gordan(lint[0], lint[1], lint[2]), _zero(lint[2], ls[4])
        return np.einsum("abL,cdM,LMN,Ne->abcde", left, right, both, last), lint[2] == ls[4]
    third = clebsch_gordan(ls[4], ls[5], lint[2])
    both, last = clebsch_gordan(lint[0], lint[1], lint[3]), _zero(lint[3], lint[2])
    out = np.einsum("abL,cdM,efO,LMN,NO->abcdef", left, right, third, both, last, optimize=True)
    return out, lint[2] == lint[3]


def _zero(l1: int, l2: int) -> NDArray[np.float64]:
    """⟨l1 m1 l2 m2 | 0 0⟩, indexed [m1 + l1, m2 + l2]."""
    return np.asarray(clebsch_gordan(l1, l2, 0)[..., 0])


def _half(
    coupling: NDArray[np.float64], ls: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The m of one of each pair of products that are each other's complex conjugate."""
    rows, weights = [], []
    for place in product(*(range(2 * l + 1) for l in ls)):
        m = [p - l for p, l in zip(place, ls, strict=True)]
        first = next((x for x in m if x), 0)
        if sum(m) == 0 and first >= 0 and coupling[place] != 0:
            rows.append(m)
            weights.append(coupling[place] * (2 if first else 1))
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(ls)), np.array(weights)


# ------------------------------------------------------------------ as a .yace


def yace_tree(root: WordItem) -> WordItem:
    """The same potential as a `.yace` holds it, one entry for each B-function.

    Raises:
        ModelFileError: contents that are impossible or do not fit together.
    """
    elements, functions = functions_of(root)
    blocks = {b.at("speciesblock").word(): b for b in root.at("species").items()}
    listed: dict[str, list[dict[str, object]]] = {str(i): [] for i in range(len(elements))}
    for one in functions:
        weights = np.outer(one.weights, one.coefficients)  # [combination, density]
        listed[str(one.centre)].append(
            {
                "mu0": str(one.centre),
                "rank": str(len(one.ls)),
                "ndensity": str(len(one.coefficients)),
                "num_ms_combs": str(len(one.ms)),
                "mus": [str(mu) for mu in one.mus],
                "ns": [str(n) for n in one.ns],
                "ls": [str(l) for l in one.ls],
                "ms_combs": [str(m) for m in one.ms.ravel()],
                "ctildes": [repr(float(c)) for c in weights.ravel()],
            }
        )
    tree = {
        "elements": elements,
        "E0": ["0"] * len(elements),
        "deltaSplineBins": root.at("global").at("DeltaSplineBins").word(),
        "embeddings": {str(i): _embedding(blocks[e]) for i, e in enumerate(elements)},
        "bonds": {
            (str(i), str(j)): _bond(_pair_block(root, blocks, a, b))
            for i, a in enumerate(elements)
            for j, b in enumerate(elements)
        },
        "functions": listed,
    }
    return WordItem(tree, root.key)


def _pair_block(root: WordItem, blocks: dict[str, WordItem], a: str, b: str) -> WordItem:
    """The block of an ordered pair, or else of the reverse one."""
    for name in (a,) if a == b else (f"{a} {b}", f"{b} {a}"):
        if name in blocks and blocks[name].get("radbase") is not None:
            return blocks[name]
    root.at("species").fail(f"expected a speciesblock with the radial functions of {a} {b}")


def _embedding(block: WordItem) -> dict[str, object]:
    limit, width = block.get("rho_core_cut"), block.get("drho_core_cut")
    return {
        "ndensity": block.at("ndensityi").value,
        "FS_parameters": block.at("parameters").value,
        "npoti": block.at("npoti").value,
        "rho_core_cutoff": _CORE_LIMIT if limit is None else limit.value,
        "drho_core_cutoff": _CORE_WIDTH if width is None else width.value,
    }


def _bond(block: WordItem) -> dict[str, object]:
    found: dict[str, object] = {new: block.at(old).value for old, new in _BOND.items()}
    core = block.get("core-repulsion")
    found["prehc"], found["lambdahc"] = ("0", "0") if core is None else core.entries(2, 2)
    for old, new in (("r_in", "rcut_in"), ("delta_in", "dcut_in"), ("inner_cutoff_type",) * 2):
        if (stored := block.get(old)) is not None:
            found[new] = stored.value
    found["radcoefficients"] = _radial_coefficients(block)
    return found


def _radial_coefficients(block: WordItem) -> object:
    """Nested [n][l][k]; older files have them flat, k slowest and l fastest."""
    node = block.at("radcoefficients")
    values = node.entries()
    if not values or isinstance(values[0], list):
        return values
    n = block.at("nradmaxi").integer(0, bonds.MAX_COUNT)
    width = block.at("lmaxi").integer(0, bonds.MAX_L) + 1
    base = block.at("nradbaseij").integer(1, bonds.MAX_COUNT)
    node.entries(n * width * base, n * width * base)
    order = np.arange(len(values)).reshape(base, n, width).transpose(1, 2, 0)
    return [[[values[k] for k in row] for row in rows] for rows in order.tolist()]


# ------------------------------------------------------------------ function by function


def projections_from(root: WordItem, name: str) -> tuple[TensorModel, list[str]]:
    """A model whose outputs are the B-functions, in the order of PACE's active sets.

    Args:
        root: of the document.
        name: how errors begin.

    Returns:
        The model, with an output for each function, those of one centre after another, and the
        symbol of the centre of each.

    Raises:
        ModelFileError: contents that are impossible or do not fit together.
    """
    elements, functions = functions_of(root)
    model: Model = model_from(yace_tree(root), {})
    if not isinstance(model.basis, ExplicitBasis):
        raise ModelFileError(f"{name}: expected functions that are listed one by one")
    symbols = list(model.elements)
    ours = [symbols.index(e) for e in elements]
    several = [p for p in model.basis.products if len(p.factors) > 1]
    # The model lists products of several factors centre by centre, in the order of the functions.
    ordered = [one for s in symbols for one in functions if elements[one.centre] == s]
    products: list[ExplicitProduct] = []
    weights = np.zeros((len(ordered), sum(len(one.ms) for one in ordered)))
    taken = iter(several)
    for row, one in enumerate(ordered):
        first = len(products)
        if len(one.ls) == 1:
            factor = (ours[one.mus[0]], one.ns[0], 0, 0)
            products.append(ExplicitProduct(ours[one.centre], (factor,)))
        else:
            products += [next(taken) for _ in one.ms]
        scale = (4 * pi) ** (len(one.ls) / 2)
        weights[row, first : len(products)] = one.weights * scale
    basis = ExplicitBasis(
        model.basis.numbers, model.basis.radial, tuple(products), knots=model.basis.knots
    )
    return TensorModel(basis, (weights[None],)), [elements[one.centre] for one in ordered]
