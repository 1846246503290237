"""A small model of the forces, as a witness of energies and virials.

Forces alone say what energies differ by and what virials are, up to what they do not determine.
A model of few functions, fitted to the forces of some structures by robust least squares, says
both with a covariance: labels are compared with it by generalised least squares, in which a
direction that forces do not fix (the energy as a function of the volume, say) has no weight. So
energies or virials in another unit, or of another sign, show up as a slope that is not 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import Pair, pair_number, resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder
from acepot.evaluate.protocol import Result
from acepot.fitting.dataset import elements
from acepot.fitting.lowered import LoweredBasis
from acepot.structure import Structure

__all__ = ["Slope", "Witness", "witness"]

Floats = NDArray[np.float64]
#: Orders and degrees that are tried, the largest first, for at most so many functions, and at
#: least so many rows for each.
_BASES = ((3, 8.0), (3, 7.0), (3, 6.0), (2, 6.0), (2, 5.0), (2, 4.0), (1, 4.0), (1, 3.0))
_FUNCTIONS, _ROWS = 400, 4
#: Å; a few shells of neighbours are enough for a witness.
_CUTOFF = 6.0
#: Atoms and structures whose forces are fitted, and the fewest structures among many atoms.
_ATOMS, _STRUCTURES, _FEWEST = 2500, 300, 8
#: Residual forces of one structure are not independent: their variance counts so many times. With
#: 30, energies of 30 sound sets have slopes of 0.95 to 1.12.
_DEPENDENT = 30.0
#: Rounds in which every structure may take a scale of its own, if the logarithms of these differ
#: by more than the second number.
_ROUNDS, _ALIKE = 12, 0.5
#: Smallest singular value that is kept, of the largest.
_DAMPING = 1e-5


@dataclass(frozen=True, eq=False)
class Slope:
    """Labels against what forces say of them.

    Args:
        value: labels over predictions: 1 where they are of one potential in one unit.
        error: of the value.
        correlation: of the two, in the metric of the covariance.
        extra: coefficients of the further columns.
        extra_errors: of these.
        noise: what labels differ by beyond the covariance, in their unit.
    """

    value: float
    error: float
    correlation: float
    extra: Floats
    extra_errors: Floats
    noise: float

    def off(self, factor: float) -> bool:
        """Whether the slope is surely no nearer to 1 than by a factor, or negative."""
        sure = self.correlation > 0.8 and abs(self.value - 1) > 8 * self.error
        return sure and not 1 / factor < self.value < factor


@dataclass(frozen=True, eq=False)
class Witness:
    """A model of forces and the rows of what it is compared with.

    Args:
        basis: its functions.
        structures: whose forces were fitted, in the order of the rows.
        energies: rows of energies per atom, shape (m, K).
        virials: rows of virials per atom, shape (m, 6, K).
        coefficients: shape (K,).
        half: a square root of the covariance of the coefficients, shape (K, K).
        scaled: coefficients if the forces of each structure may have a unit of their own.
        agreement: correlation of the fitted forces with the labels.
        forces: root mean square of the labels in eV/Å.
    """

    basis: LoweredBasis
    structures: list[Structure]
    energies: Floats
    virials: Floats
    coefficients: Floats
    half: Floats
    scaled: Floats
    agreement: float
    forces: float

    def slope(self, rows: Floats, labels: Floats, columns: Floats) -> Slope:
        """Compare labels with the witness.

        Args:
            rows: of what is labelled, shape (m, K).
            labels: shape (m,).
            columns: what else labels may hold with any coefficients, shape (m, k).
        """
        spread = np.sqrt(_DEPENDENT) * (rows @ self.half)
        values, vectors = np.linalg.eigh(spread @ spread.T)
        values = np.maximum(values, 0.0)
        turned = vectors.T @ np.column_stack([rows @ self.coefficients, columns, labels])
        size, noise = 1.0, 1e-3 * max(float(np.std(labels)), 1e-6)
        for _ in range(40):
            # The covariance is that of labels in our units: it grows with theirs.
            both = turned / np.sqrt(size**2 * values + noise**2)[:, None]
            design, target = both[:, :-1], both[:, -1]
            solution, weights, scale = _robust(design, target)
            before, size = size, abs(float(solution[0])) or size
            if 0.7 < scale < 1.2 and abs(size / before - 1) < 0.1:
                break
            noise *= min(max(scale, 0.5), 10.0)
            if noise < 1e-9 * size:
                break
        weighted = design * weights[:, None]
        inverse = np.linalg.pinv(weighted.T @ weighted)
        errors = max(scale, 1e-3) * np.sqrt(np.maximum(np.diag(inverse), 0.0))
        left = [_less(weighted[:, 1:], column) for column in (weighted[:, 0], target * weights)]
        sizes = float(np.linalg.norm(left[0]) * np.linalg.norm(left[1]))
        correlation = abs(float(left[0] @ left[1])) / sizes if sizes > 0 else 0.0
        return Slope(
            float(solution[0]), float(errors[0]), correlation, solution[1:], errors[1:], noise
        )

    def apart(self, rows: Floats, labels: Floats, columns: Floats, noise: float) -> Floats:
        """How far each label is from what the witness and all other labels say, shape (m,).

        The residual of leaving one out, (V⁻¹ r)_i / (V⁻¹)_ii, with the covariance V.

        Args:
            rows: of what is labelled, shape (m, K).
            labels: shape (m,).
            columns: what else labels may hold with any coefficients, shape (m, k).
            noise: of the labels, in their unit.
        """
        spread = np.sqrt(_DEPENDENT) * (rows @ self.half)
        free = 1e3 * max(float(np.std(labels)), 1.0) * columns
        covariance = (
            spread @ spread.T + free @ free.T + _above(noise, labels) ** 2 * np.eye(len(labels))
        )
        inverse = np.linalg.pinv(covariance, hermitian=True)
        left = labels - rows @ self.coefficients
        return np.asarray((inverse @ left) / np.diag(inverse))

    def told(self, rows: Floats, labels: Floats, columns: Floats, noise: float) -> Witness:
        """The witness that also knows labels, which determine what forces leave open.

        Args:
            rows: of what is labelled, shape (m, K).
            labels: shape (m,).
            columns: what else labels may hold with any coefficients, shape (m, k).
            noise: of the labels, in their unit.
        """
        basis, values, _ = np.linalg.svd(columns)
        others = basis[:, int((values > 1e-9 * values.max(initial=1.0)).sum()) :].T
        spread = np.sqrt(_DEPENDENT) * (others @ rows @ self.half)  # what the columns leave
        left = others @ (labels - rows @ self.coefficients)
        noise = _above(noise, others @ labels)
        covariance = spread @ spread.T + noise**2 * np.eye(len(left))
        gain = np.linalg.solve(covariance, np.column_stack([spread, left]))
        moved = np.sqrt(_DEPENDENT) * (self.half @ (spread.T @ gain[:, -1]))
        values, vectors = np.linalg.eigh(np.eye(spread.shape[1]) - spread.T @ gain[:, :-1])
        half = self.half @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        return replace(self, coefficients=self.coefficients + moved, half=half)

    def predict(
        self, structures: Sequence[Structure], threads: int, *, scaled: bool = False
    ) -> list[Result]:
        """What the witness says about any structures, with the error of those it cannot say."""
        coefficients = self.scaled if scaled else self.coefficients
        model = replace(self.basis.blank, coefficients=coefficients[None, None])
        return self.basis.potential(model, threads).compute_all(structures, failures="keep")


def witness(train: Sequence[Structure], spec: BasisSpec) -> Witness | None:
    """Fit the forces of some structures.

    Args:
        train: training structures.
        spec: the resolved basis of the fit, whose cut-offs and distances are taken.

    Returns:
        The witness; None where there are too few forces.
    """
    chosen = _chosen([s for s in train if s.forces is not None and len(s) > 1 and s.forces.any()])
    rows = sum(3 * len(s) for s in chosen)
    if not rows or (small := _small(spec, elements(chosen), rows)) is None:
        return None
    basis = LoweredBasis.of(small, dict.fromkeys(small.elements, 0.0), _silent)
    builder, functions = NativeRowBuilder(basis.tables), basis.size["total"]
    kept, blocks = [], []
    for one in chosen:
        block = np.empty((3 * len(one) + 7, functions), order="F")
        try:
            builder.fill(one, ("energy", "forces", "virial"), block)
        except InputError:  # atoms that are too close: told of elsewhere
            continue
        kept.append(one)
        blocks.append(block)
    if not kept:
        return None
    design = np.vstack([block[1:-6] for block in blocks])
    target = np.concatenate([one.forces.ravel() for one in kept if one.forces is not None])
    coefficients, half = _fitted(design, target)
    predicted = design @ coefficients
    first = np.cumsum([0, *(3 * len(one) for one in kept)])
    frames = [slice(a, b) for a, b in pairwise(first.tolist())]
    sizes = float(np.linalg.norm(predicted) * np.linalg.norm(target))
    return Witness(
        basis=basis,
        structures=kept,
        energies=np.array([b[0] / len(s) for b, s in zip(blocks, kept, strict=True)]),
        virials=np.array([b[-6:] / len(s) for b, s in zip(blocks, kept, strict=True)]),
        coefficients=coefficients,
        half=half,
        scaled=_scaled(design, target, frames, coefficients),
        agreement=float(predicted @ target) / sizes if sizes > 0 else 0.0,
        forces=float(np.sqrt(np.mean(target**2))),
    )


def _above(noise: float, labels: Floats) -> float:
    """Noise that rounding does not hide: labels of a model itself have none."""
    return max(noise, 1e-4 * float(np.std(labels)), 1e-9)


def _chosen(labelled: Sequence[Structure]) -> list[Structure]:
    """Structures from all over the data."""
    if not labelled:
        return []
    atoms = sum(map(len, labelled)) / len(labelled)
    count = min(len(labelled), _STRUCTURES, max(_FEWEST, int(_ATOMS / atoms)))
    return [labelled[i] for i in np.linspace(0, len(labelled) - 1, count).astype(int)]


def _small(spec: BasisSpec, symbols: tuple[str, ...], rows: int) -> BasisSpec | None:
    """The largest basis that the rows determine."""
    pairs = [(a, b) for a in symbols for b in symbols]
    cutoff = {f"{a}-{b}": min(pair_number(spec.cutoff, a, b, "cutoff"), _CUTOFF) for a, b in pairs}
    r0 = {
        f"{a}-{b}": min(pair_number(spec.r0, a, b, "r0"), 0.9 * cutoff[f"{a}-{b}"])
        for a, b in pairs
    }
    for order, degree in _BASES:
        small = resolve(
            BasisSpec(
                elements=symbols,
                order=order,
                degree=degree,
                cutoff=cutoff,
                r0=r0,
                pair=Pair(degree=int(degree)),
            )
        )
        if basis_size(small)["total"] <= min(_FUNCTIONS, rows / _ROWS):
            return small
    return None


def _fitted(design: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Coefficients by robust least squares, and a square root of their covariance."""
    scale = np.sqrt(np.mean(design**2, axis=0))
    scale[scale == 0] = 1.0
    weights: Floats = np.ones(len(target))
    noise = 0.0
    for _ in range(4):
        scaled = design / scale * weights[:, None]
        values, vectors = np.linalg.eigh(scaled.T @ scaled)
        kept = values > _DAMPING**2 * values[-1]
        inverse = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
        half = (vectors * inverse) / scale[:, None]
        coefficients = half @ (half.T @ ((design * weights[:, None]).T @ (target * weights)))
        left = np.abs(target - design @ coefficients)
        noise = 1.48 * float(np.median(left[target != 0.0]))
        weights = 1 / np.sqrt(1 + (left / (3 * noise + 1e-12)) ** 2)
    return coefficients, noise * half


def _scaled(
    design: Floats, target: Floats, frames: Sequence[slice], coefficients: Floats
) -> Floats:
    """Coefficients that fit the forces of every structure up to a factor of its own.

    Args:
        design: rows of forces, shape (m, K).
        target: forces, shape (m,).
        frames: the rows of each structure.
        coefficients: to begin with.
    """
    for _ in range(_ROUNDS):
        predicted, even = design @ coefficients, target.copy()
        factors = np.ones(len(frames))
        for k, rows in enumerate(frames):
            size = float(predicted[rows] @ predicted[rows])
            factor = float(predicted[rows] @ target[rows]) / size if size > 0 else 0.0
            factors[k] = factor if factor > 0 else 1.0
        factors /= np.median(factors)
        for rows, factor in zip(frames, factors, strict=True):
            even[rows] /= factor
        if np.ptp(np.log(factors)) < _ALIKE:
            break
        coefficients = _fitted(design, even)[0]
    return coefficients


def _robust(design: Floats, target: Floats) -> tuple[Floats, Floats, float]:
    """Coefficients, weights of the rows and the spread of what is left, outliers apart."""
    weights: Floats = np.ones(len(target))
    solution: Floats = np.zeros(design.shape[1])
    scale = 1.0
    freedom = np.sqrt(len(target) / max(len(target) - design.shape[1], 1))
    for _ in range(15):
        solution[:] = np.linalg.lstsq(design * weights[:, None], target * weights, rcond=None)[0]
        left = np.abs(target - design @ solution)
        scale = 1.48 * float(np.median(left)) * freedom + 1e-12
        weights = 1 / np.sqrt(1 + (left / (2 * scale)) ** 2)
    return solution, weights, scale


def _less(columns: Floats, vector: Floats) -> Floats:
    """A vector without what the columns span."""
    if not columns.shape[1]:
        return vector
    return vector - columns @ np.linalg.lstsq(columns, vector, rcond=None)[0]


_silent: Callable[[str], None] = lambda _line: None  # noqa: E731
