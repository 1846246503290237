"""Radial functions of a model as combinations of functions that PACE has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from acepot.basis.embedding import Nonlinear
from acepot.basis.family import RadialFunctions
from acepot.basis.pace_radial import (
    BesselRadial,
    ChebyshevRadial,
    CoreRadial,
    InnerCutRadial,
    MixedRadial,
    ZblRadial,
)
from acepot.basis.radial import PolynomialRadial
from acepot.errors import InputError
from acepot.io.pace.bonds import CHEBYSHEV, Bond
from acepot.io.pace.chebyshev import Floats

Channel = tuple[int, ...]
#: The window that PACE files name where it has no meaning, in Å.
_WINDOW = 0.01


@dataclass(frozen=True)
class PaceFamily:
    """Functions g_k of PACE for one ordered pair of elements.

    Args:
        name: radbasename.
        cutoff: in Å.
        exponent: λ of the Chebyshev families.
        window: dcut in Å.
        end: r_in in Å, 0 without an inner cut-off.
        width: δ_in in Å.
    """

    name: str
    cutoff: float
    exponent: float = 1.0
    window: float = _WINDOW
    end: float = 0.0
    width: float = 0.0


@dataclass(frozen=True, eq=False)
class Combination:
    """Channels of a model written in a family.

    Args:
        family: the functions g_k.
        matrix: channel c is Σ_k matrix[c, k] g_k, shape (channels, K).
    """

    family: PaceFamily
    matrix: Floats


def as_pace_family(
    functions: RadialFunctions, pair: RadialFunctions | None, channels: Sequence[Channel]
) -> Combination | None:
    """Channels in a family of PACE, if that is what they already are.

    Args:
        functions: many-body functions of an ordered pair of elements.
        pair: its pair functions.
        channels: (n,) for R_n, (-k,) for V_k; products give None.
    """
    found = _rows(functions)
    if found is None or any(len(c) > 1 for c in channels):
        return None
    family, rows = found
    pair_rows = rows
    if pair is not None:
        other = _rows(pair)
        if other is None or other[0] != family:
            return None
        pair_rows = other[1]
    width = max(rows.shape[1], pair_rows.shape[1])
    chosen = [rows[c - 1] if c > 0 else pair_rows[-c - 1] for (c,) in channels]
    matrix = np.zeros((len(chosen), width))
    for row, values in zip(matrix, chosen, strict=True):
        row[: len(values)] = values
    return Combination(family, matrix)


def _rows(functions: RadialFunctions) -> tuple[PaceFamily, Floats] | None:
    """The family and each function as a row of coefficients."""
    if isinstance(functions, MixedRadial):
        inner = _rows(functions.functions)
        return None if inner is None else (inner[0], np.vstack((inner[1], functions.mixing)))
    end, width = 0.0, 0.0
    if isinstance(functions, InnerCutRadial):
        end, width, functions = functions.end, functions.width, functions.functions
    identity = np.eye(functions.count)
    if isinstance(functions, ChebyshevRadial):
        name = {ours: theirs for theirs, ours in CHEBYSHEV.items()}[functions.family]
        window = functions.smoothing if name == "ChebExpCos" else _WINDOW
        exponent = 1.0 if name == "ChebLinear" else functions.exponent
        return PaceFamily(name, functions.cutoff, exponent, window, end, width), identity
    if isinstance(functions, BesselRadial):
        return PaceFamily("SBessel", functions.cutoff, end=end, width=width), identity
    if isinstance(functions, PolynomialRadial) and not functions.recurrence.any():
        return PaceFamily("TEST_zero", functions.cutoff, end=end, width=width), identity
    return None


def bond_of(
    family: PaceFamily,
    coefficients: Floats,
    nonlinear: Nonlinear | None,
    pair: tuple[int, int],
    what: str,
) -> Bond:
    """What a PACE file says about one ordered pair of species.

    Args:
        family: its radial functions.
        coefficients: of R_nl in them, shape (n, l, K).
        nonlinear: of the model, for the core repulsion.
        pair: indices of the species.
        what: how an error begins.

    Raises:
        InputError: PACE cannot have this repulsion beside these radial functions.
    """
    end, width = family.end, family.width
    bond = Bond(
        family.name, coefficients.shape[-1], family.cutoff, family.exponent, family.window,
        coefficients, "distance", 0.0, 1.0, end, width,
    )  # fmt: skip
    if nonlinear is None or nonlinear.core is None:
        return bond
    core = nonlinear.core[pair[0]][pair[1]]
    if core.cutoff != family.cutoff:
        raise InputError(
            f"{what}: the core repulsion ends at {core.cutoff} Å, the radial functions at "
            f"{family.cutoff} Å; a .yace file has one cut-off"
        )
    if isinstance(core, ZblRadial) and nonlinear.mode == "zbl" and nonlinear.inner is not None:
        begin, inside = (float(x) for x in nonlinear.inner[pair])
        if end == 0 and (family.name != "ChebExpCos" or family.window == core.width):
            return replace(bond, mode="zbl", prefactor=core.prefactor, end=begin + inside,
                           width=inside, window=core.width)  # fmt: skip
    if isinstance(core, CoreRadial):
        bond = replace(bond, prefactor=core.prefactor, decay=core.decay)
        if nonlinear.mode == "density" and core.end is None and end == 0:
            return replace(bond, mode="density", width=0.0)
        if nonlinear.mode == "distance" and end == core.end:
            if end == 0 or width == core.width:
                return replace(bond, width=core.width)
    raise InputError(
        f"{what}: a .yace file has no {type(core).__name__} of mode {nonlinear.mode} beside "
        f"{family.name} functions with the inner cut-off {family.end} Å"
    )
