"""The O of BAOAB: friction and noise alone, in three forms that keep N(0, kT) exactly.

In momenta divided by √m, and with S = M^(-1/2) Σ, the O-step is dp = -S Sᵀ p dt + √(2 kT) S dW. All
forms add S times something to p: what Σ keeps, the total momentum say, they keep.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from acepot.errors import ConvergenceError
from acepot.evaluate.protocol import Floats, Ints
from acepot.friction.sigma import Factor, Sigma

__all__ = ["cayley", "cayley_sparse", "exact", "largest_rate", "matchings", "sweep"]

#: Singular values below this part of the largest are rounding, whose directions mean nothing.
_ROUNDING = 1e-13
#: Relative residual of conjugate gradients: far below the noise of any step.
_SOLVED = 1e-13
_ITERATIONS = 2000


def exact(
    columns: Floats, momenta: Floats, step: float, kt: float, random: np.random.Generator
) -> Floats:
    """P + U [(e^(-λh) - 1) Uᵀp + √(kT (1 - e^(-2λh))) ξ] with S = U s Vᵀ and λ = s².

    Args:
        columns: S, shape (…, n, m).
        momenta: p/√m, shape (…, n).
        step: h.
        kt: kT in the unit of p²/m.
        random: of ξ.

    Returns:
        Shape (…, n).
    """
    if columns.shape[-1] > columns.shape[-2]:  # the same S Sᵀ from fewer columns
        columns = np.swapaxes(np.linalg.qr(np.swapaxes(columns, -1, -2), mode="r"), -1, -2)
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    s = np.where(s > _ROUNDING * s.max(axis=-1, keepdims=True, initial=0.0), s, 0.0)
    rate = s**2 * step
    noise = random.standard_normal(rate.shape)
    along = np.einsum("...nm,...n->...m", u, momenta)
    kick = np.expm1(-rate) * along + np.sqrt(-kt * np.expm1(-2 * rate)) * noise
    return np.asarray(momenta + np.einsum("...nm,...m->...n", u, kick))


def cayley(
    columns: Floats, momenta: Floats, step: float, kt: float, random: np.random.Generator
) -> Floats:
    """(1 + h/2 S Sᵀ) p' = (1 - h/2 S Sᵀ) p + √(2 kT h) S ξ, by its m columns.

    p' - p = S (1 + h/2 SᵀS)⁻¹ (√(2 kT h) ξ - h Sᵀp). N(0, kT) stays exactly, for
    (1 - a)² + 4a = (1 + a)²; but where hλ is far above 2 momenta change sign rather than decay.

    Args:
        columns: S, shape (…, n, m).
        momenta: p/√m, shape (…, n).
        step: h.
        kt: kT in the unit of p²/m.
        random: of ξ.
    """
    noise = random.standard_normal((*columns.shape[:-2], columns.shape[-1]))
    along = np.einsum("...nm,...n->...m", columns, momenta)
    right = np.sqrt(2 * kt * step) * noise - step * along
    gram = np.eye(columns.shape[-1]) + 0.5 * step * np.swapaxes(columns, -1, -2) @ columns
    kick = np.linalg.solve(gram, right[..., None])
    return np.asarray(momenta + (columns @ kick)[..., 0])


def cayley_sparse(
    sigma: Sigma, momenta: Floats, step: float, kt: float, random: np.random.Generator
) -> Floats:
    """The same by conjugate gradients, whose cost is linear in the atoms.

    Args:
        sigma: S.
        momenta: p/√m, shape (atoms, 3).
        step: h.
        kt: kT in the unit of p²/m.
        random: of the noise.

    Raises:
        ConvergenceError: conjugate gradients do not converge.
    """
    noise = np.sqrt(2 * kt * step) * random.standard_normal(sigma.width)
    right = sigma.times(noise - step * sigma.back(momenta)).ravel()

    def matvec(v: Floats) -> Floats:
        return np.asarray(v + 0.5 * step * sigma.friction(v).ravel())

    operator = LinearOperator((right.size, right.size), matvec=matvec, dtype=float)
    kick, failed = cg(operator, right, rtol=_SOLVED, atol=0.0, maxiter=_ITERATIONS)
    if failed:
        raise ConvergenceError(
            f"friction: conjugate gradients did not converge in {_ITERATIONS} iterations: h times "
            "the largest friction rate is too large; use exact, or a shorter time step"
        )
    return np.asarray(momenta + kick.reshape(-1, 3))


def sweep(
    sigma: Sigma, momenta: Floats, step: float, kt: float, random: np.random.Generator
) -> Floats:
    """Shardlow's splitting: the exact O-step of one bond after the other, in random order.

    Every bond keeps N(0, kT), so the sweep does. Bonds without a common atom go together.

    Args:
        sigma: S of pair-wise and on-site couplings.
        momenta: p/√m, shape (atoms, 3).
        step: h.
        kt: kT in the unit of p²/m.
        random: of the noise.
    """
    p = np.array(momenta)
    for factor in sigma.factors:
        atoms, columns = _by_source(factor)
        for mine in matchings(atoms, factor.atoms, random):
            ends = atoms[mine]
            held = exact(columns[mine], p[ends].reshape(len(mine), -1), step, kt, random)
            p[ends] = held.reshape(len(mine), -1, 3)
    return p


def _by_source(factor: Factor) -> tuple[Ints, Floats]:
    """Atoms of every source and its columns of S, shapes (sources, 1 or 2), (…, 3 or 6, w)."""
    order = np.argsort(factor.columns, kind="stable")
    used, counts = np.unique(factor.columns, return_counts=True)
    ends = 2 if factor.is_bond else 1
    atoms = np.zeros((len(used), ends), dtype=np.int64)
    columns = np.zeros((len(used), ends, *factor.values.shape[1:]))
    begin = np.cumsum(counts) - counts
    for end in range(ends):
        there = np.flatnonzero(counts > end)
        blocks = order[begin[there] + end]
        atoms[there, end], columns[there, end] = factor.rows[blocks], factor.values[blocks]
        missing = np.flatnonzero(counts <= end)
        atoms[missing, end] = -1 - missing  # no atom: it meets nothing
    if ends == 2:  # a bond to an image of the same atom acts on it once
        same = atoms[:, 0] == atoms[:, 1]
        columns[same, 0] += columns[same, 1]
        columns[same, 1] = 0.0
        alone = same | (atoms[:, 1] < 0)
        atoms[alone, 1] = (atoms[alone, 0] + 1) % factor.atoms  # its columns are zero
    return atoms, columns.reshape(len(used), -1, factor.values.shape[2])


def matchings(atoms: Ints, count: int, random: np.random.Generator) -> list[Ints]:
    """Sources in groups without a common atom: all of them once, in random order.

    Args:
        atoms: of every source, shape (sources, 1 or 2).
        count: how many atoms there are.
        random: of the order.
    """
    rank = random.permutation(len(atoms))
    left, groups = np.arange(len(atoms)), []
    while len(left):
        best = np.full(count, len(atoms))
        for end in atoms[left].T:
            np.minimum.at(best, end, rank[left])
        first = (best[atoms[left]] == rank[left][:, None]).all(axis=1)
        groups.append(left[first])
        left = left[~first]
    return groups


def largest_rate(sigma: Sigma, random: np.random.Generator, iterations: int = 12) -> float:
    """An estimate of the largest eigenvalue of S Sᵀ, by powers, from below.

    Args:
        sigma: S.
        random: of the vector it begins with.
        iterations: products with S Sᵀ.
    """
    v, rate = random.standard_normal((sigma.atoms, 3)), 0.0
    for _ in range(iterations):
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return 0.0
        v = sigma.friction(v / size)
        rate = float(np.linalg.norm(v))
    return rate
