"""What a PACE file says, as a tree of words -> Model.

E_i = F(ρ_1 … ρ_P) f + ρ_core + E0, ρ_p = Σ c̃_p Re Π_t A_t, with harmonics larger than ours by
√(4π): a product of ν factors takes c̃ (4π)^(ν/2). Products of one factor use the radial
functions g_k themselves, all others R_nl = Σ_k crad_nlk g_k. The former are summed into one
function for each pair and density, Σ_k c̃_kp g_k: their energy is the same, and a sum of a
hundred steep g_k is as smooth as what it was made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from acepot.basis.embedding import CoreMode, Embedding, Nonlinear
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.family import RadialFunctions
from acepot.basis.pace_radial import MixedRadial
from acepot.basis.species import SYMBOLS
from acepot.budget import MORE, allowed
from acepot.io.document import WordItem
from acepot.io.orthpoly import padded
from acepot.io.pace import bonds
from acepot.io.pace.bonds import Bond
from acepot.model import Model

#: Largest rank of a product and number of densities.
_RANK, _DENSITIES = 6, 16
#: Largest exponent of an embedding.
_EXPONENT = 20.0
#: Finest and coarsest distance of the knots of a file's own tables, in Å.
_KNOTS = 1e-4, 0.1
#: Most numbers in the mixing matrices of all pairs together: 0.8 GB.
_MIXING = 100_000_000


Matrix = list[list[Bond]]
Family = tuple[tuple[RadialFunctions, ...], ...]
#: Coefficients of the g_k in products of one factor, shape (P, K), by centre and neighbour.
Sums = dict[tuple[int, int], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class _Elements:
    """The file's elements and where they stand among ours, which ascend.

    Args:
        numbers: atomic numbers, ascending.
        ours: our index of each of the file's.
        files: the file's index of each of ours.
    """

    numbers: tuple[int, ...]
    ours: list[int]
    files: list[int]


@dataclass(frozen=True, eq=False)
class _Channels:
    """Numbers of the radial functions, the same for all pairs.

    Args:
        base: number of the g_k.
        n: largest n of R_nl.
        width: largest l + 1 of R_nl.
        densities: largest number of densities.
        polynomial: functions of ACE.jl: R_nl = P_n.
    """

    base: int
    n: int
    width: int
    densities: int
    polynomial: bool

    def channel(self, n: int, l: int) -> int:
        """Number of the function R_nl."""
        return n if self.polynomial else self.base + (n - 1) * self.width + l + 1

    def sum(self, p: int) -> int:
        """Number of the sum of g_k in a density."""
        return self.base + self.n * self.width + p + 1


def model_from(root: WordItem, provenance: dict[str, str]) -> Model:
    """The model that a file describes.

    Args:
        root: the tree: elements, E0, deltaSplineBins, embeddings, bonds, functions and, with
            the radial functions of ACE.jl, polypairpot and reppot.
        provenance: of the model.

    Raises:
        ModelFileError: contents that are impossible or do not fit together.
    """
    elements = _elements(root.at("elements"))
    species = range(len(elements.numbers))
    e0 = np.zeros(len(species))
    if (stored := root.get("E0")) is not None:
        e0 = stored.numbers(len(species), len(species))[elements.files]
    knots = None
    if (stored := root.get("deltaSplineBins")) is not None:
        knots = stored.number(*_KNOTS)
    embeddings = [_embedding(root.at("embeddings").at(str(i))) for i in elements.files]
    listed = root.at("bonds")
    matrix = [
        [bonds.read(listed.at((str(i), str(j))), elements.numbers[a], elements.numbers[b])
         for b, j in enumerate(elements.files)]
        for a, i in enumerate(elements.files)
    ]  # fmt: skip
    channels = _channels(listed, matrix, max(len(e.weights) for e in embeddings))
    products, coefficients, sums = _functions(
        root.at("functions"), elements, embeddings, matrix, channels
    )
    radial, mode, core, inner = _radial(listed, matrix, channels, sums)
    for i, e in zip(elements.files, embeddings, strict=True):
        if core is None and e.core_limit < e.core_width:
            root.at("embeddings").at(str(i)).fail(
                f"expected rho_core_cutoff of at least drho_core_cutoff = {e.core_width}"
            )
    pair = bonds.read_pair(root, elements.files) if channels.polynomial else None
    if pair is not None:
        if not all(_linear(e) and e.weights == (1.0,) for e in embeddings):
            root.at("polypairpot").fail("expected the linear embedding [1, 1] beside it")
        ones = np.ones((len(species) * (len(species) + 1) // 2, coefficients.shape[1]))
        coefficients = np.concatenate((coefficients, ones))
    basis = ExplicitBasis(elements.numbers, radial, products, pair, knots)
    if core is None and all(_linear(e) for e in embeddings):
        weights = np.array([e.weights[0] for e in embeddings])
        centres = [p.centre for p in products]
        coefficients[: len(products), 0] *= weights[centres]
        return Model(basis, coefficients[:, 0], e0, provenance=provenance)
    nonlinear = Nonlinear(tuple(embeddings), mode, core, inner)
    return Model(basis, coefficients.T[None], e0, provenance=provenance, nonlinear=nonlinear)


def _linear(embedding: Embedding) -> bool:
    """Whether E = w ρ, which both kinds of embedding give for m = 1."""
    return embedding.exponents == (1.0,)


def _elements(node: WordItem) -> _Elements:
    symbols = [item.word() for item in node.items(1, len(SYMBOLS) - 1)]
    known = SYMBOLS[1:]
    for item in node.items():
        if item.value not in known:
            item.fail(f"expected a chemical symbol, got {item.word()[:20]!r}")
    if len(set(symbols)) < len(symbols):
        node.fail(f"expected every element once, got {symbols}")
    numbers = [SYMBOLS.index(s) for s in symbols]
    files = sorted(range(len(numbers)), key=lambda i: numbers[i])
    return _Elements(
        tuple(numbers[i] for i in files), [files.index(i) for i in range(len(files))], files
    )


def _embedding(node: WordItem) -> Embedding:
    count = node.at("ndensity").integer(1, _DENSITIES)
    parameters = node.at("FS_parameters").numbers(2 * count, 2 * count)
    kind = node.at("npoti").word()
    if kind not in ("FinnisSinclair", "FinnisSinclairShiftedScaled"):
        node.at("npoti").fail(
            f"expected FinnisSinclair or FinnisSinclairShiftedScaled, got {kind[:40]!r}"
        )
    exponents = parameters[1::2]
    if not ((exponents > 0) & (exponents <= _EXPONENT)).all():
        node.at("FS_parameters").fail(
            f"expected exponents above 0 and up to {_EXPONENT:g}, got {exponents.tolist()}"
        )
    return Embedding(
        "FinnisSinclair" if kind == "FinnisSinclair" else "FinnisSinclairShiftedScaled",
        tuple(parameters[::2].tolist()),
        tuple(exponents.tolist()),
        node.at("rho_core_cutoff").number(0.0),
        node.at("drho_core_cutoff").number(0.0),
    )


def _channels(node: WordItem, matrix: Matrix, densities: int) -> _Channels:
    every = [bond for row in matrix for bond in row]
    if len({bond.polynomial is None for bond in every}) > 1:
        node.fail("expected the radial functions of ACE.jl for all pairs or for none")
    shapes = [bond.coefficients.shape for bond in every]
    channels = _Channels(
        max(bond.base for bond in every),
        max(shape[0] for shape in shapes),
        max(shape[1] for shape in shapes),
        densities,
        every[0].polynomial is not None,
    )
    size = channels.base * (channels.n * channels.width + densities) * len(every)
    if size > (most := allowed(_MIXING)):
        node.fail(f"expected at most {most} radial coefficients in all, got {size}; {MORE}")
    return channels


def _radial(
    node: WordItem, matrix: Matrix, channels: _Channels, sums: Sums
) -> tuple[Family, CoreMode, Family | None, NDArray[np.float64] | None]:
    """Radial functions, core repulsion and inner cut-offs of all pairs."""
    if channels.polynomial:
        polynomials = (
            tuple(padded(b.polynomial, channels.base) for b in row if b.polynomial)
            for row in matrix
        )
        return tuple(polynomials), "none", None, None
    modes = {bond.mode for row in matrix for bond in row}
    if len(modes) > 1:
        node.fail(f"expected one inner_cutoff_type, got {' and '.join(sorted(modes))}")
    mode = modes.pop()
    family = tuple(
        tuple(_mixed(bond, channels, sums.get((a, b))) for b, bond in enumerate(row))
        for a, row in enumerate(matrix)
    )
    if not any(bond.repels for row in matrix for bond in row):
        return family, "none", None, None
    core = tuple(tuple(bond.core for bond in row) for row in matrix)
    inner = np.array([[bond.inner for bond in row] for row in matrix]) if mode == "zbl" else None
    return family, mode, core, inner


def _mixed(bond: Bond, channels: _Channels, sums: NDArray[np.float64] | None) -> MixedRadial:
    """g_k, R_nl and the sums of g_k."""
    mixing = np.zeros((channels.n, channels.width, channels.base))
    n, width, base = bond.coefficients.shape
    mixing[:n, :width, :base] = bond.coefficients
    last = np.zeros((channels.densities, channels.base)) if sums is None else sums
    rows = np.concatenate((mixing.reshape(-1, channels.base), last))
    return MixedRadial(bond.functions(channels.base), rows)


def _functions(
    node: WordItem,
    elements: _Elements,
    embeddings: list[Embedding],
    matrix: Matrix,
    channels: _Channels,
) -> tuple[tuple[ExplicitProduct, ...], NDArray[np.float64], Sums]:
    """Every product with its coefficients, shape (K, P), centre by centre; the sums of g_k."""
    if not set(node.table()) <= {str(i) for i in elements.files}:
        node.fail(f"expected the indices of {len(elements.files)} elements as keys")
    products: list[ExplicitProduct] = []
    values: list[NDArray[np.float64]] = []
    sums: Sums = {}
    for centre, index in enumerate(elements.files):
        listed = node.get(str(index))
        own = len(embeddings[centre].weights)
        several: list[ExplicitProduct] = []
        weights: list[NDArray[np.float64]] = []
        for item in [] if listed is None else listed.items():
            item.at("mu0").integer(index, index)
            item.at("ndensity").integer(own, own)
            rank = item.at("rank").integer(1, _RANK)
            heads = _factors(item, rank, centre, elements, matrix, channels)
            combinations = _combinations(item, [l for *_, l in heads])
            c = item.at("ctildes").numbers(len(combinations) * own, len(combinations) * own)
            c = np.pad(c.reshape(-1, own), ((0, 0), (0, channels.densities - own)))
            if rank == 1 and not channels.polynomial:
                ((neighbour, k, _),) = heads
                row = sums.setdefault(
                    (centre, neighbour), np.zeros((channels.densities, channels.base))
                )
                row[:, k - 1] += c.sum(axis=0)
                continue
            several += [
                ExplicitProduct(centre, tuple((*h, m) for h, m in zip(heads, ms, strict=True)))
                for ms in combinations
            ]
            weights.append(c * (4 * pi) ** (rank / 2))
        single, one = _single(sums, centre, channels)
        products += single + several
        values += one + weights
    if not products:
        node.fail("expected at least one function")
    return tuple(products), np.concatenate(values), sums


def _single(
    sums: Sums, centre: int, channels: _Channels
) -> tuple[list[ExplicitProduct], list[NDArray[np.float64]]]:
    """The sums of g_k of one centre as products of one factor, with their coefficients.

    One for each neighbour and density that has any, and one where all that a file lists is zero.
    """
    products, values = [], []
    for (s, neighbour), row in sorted(sums.items()):
        if s != centre:
            continue
        for p in np.flatnonzero(row.any(axis=1)) if row.any() else [0]:
            factor = (neighbour, channels.sum(int(p)), 0, 0)
            products.append(ExplicitProduct(centre, (factor,)))
            values.append((4 * pi) ** 0.5 * np.eye(channels.densities)[p : p + 1])
    return products, values


def _factors(
    item: WordItem, rank: int, centre: int, elements: _Elements, matrix: Matrix, channels: _Channels
) -> list[tuple[int, int, int]]:
    """Species, radial function (of one factor: k) and l of every factor."""
    mus = item.at("mus").integers(0, len(elements.files) - 1, rank)
    ns = item.at("ns").integers(1, bonds.MAX_COUNT, rank)
    ls = item.at("ls").integers(0, bonds.MAX_L, rank)
    heads = []
    for mu, n, l in zip(mus, ns, ls, strict=True):
        neighbour = elements.ours[mu]
        n_max, l_max = matrix[centre][neighbour].limits(rank)
        if n > n_max or l > l_max:
            item.fail(f"expected n <= {n_max} and l <= {l_max} for this pair, got {n} and {l}")
        heads.append((neighbour, n if rank == 1 else channels.channel(n, l), l))
    return heads


def _combinations(item: WordItem, ls: list[int]) -> list[list[int]]:
    """The m of every factor, one list for each product."""
    rank = len(ls)
    flat = item.at("ms_combs")
    count = item.at("num_ms_combs").integer(1, max(len(flat.entries()) // rank, 1))
    ms = flat.integers(-bonds.MAX_L, bonds.MAX_L, count * rank)
    rows = [ms[i : i + rank] for i in range(0, len(ms), rank)]
    for row in rows:
        if sum(row) or any(abs(m) > l for m, l in zip(row, ls, strict=True)):
            flat.fail(f"expected |m| <= l = {ls} and a sum of 0, got {row}")
    return rows
