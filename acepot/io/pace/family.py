"""Radial functions of a model as combinations of functions that PACE has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from acepot.io.pace.bonds import CHEBYSHEV
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
class Combined:
    """Channels of a model written in a family.

    Args:
        family: the functions g_k.
        matrix: channel c is Σ_k matrix[c, k] g_k, shape (channels, K).
    """

    family: PaceFamily
    matrix: Floats


@dataclass(frozen=True)
class Core:
    """Core repulsion of one ordered pair as PACE files name it.

    Args:
        mode: inner_cutoff_type.
        prefactor: prehc.
        decay: lambdahc.
        end: rcut_in in Å.
        width: dcut_in in Å.
        window: dcut in Å, if the repulsion says.
    """

    mode: str
    prefactor: float = 0.0
    decay: float = 1.0
    end: float = 0.0
    width: float = 0.0
    window: float | None = None


def in_own_family(
    functions: RadialFunctions, pair: RadialFunctions | None, channels: Sequence[Channel]
) -> Combined | None:
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
    return Combined(family, matrix)


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


def core_of(
    nonlinear: Nonlinear | None, centre: int, neighbour: int, family: PaceFamily, what: str
) -> Core:
    """The core repulsion of one ordered pair.

    Args:
        nonlinear: of the model.
        centre: species index.
        neighbour: species index.
        family: radial functions of the pair.
        what: how an error begins.

    Raises:
        InputError: PACE cannot have this repulsion beside these radial functions.
    """
    if nonlinear is None or nonlinear.core is None:
        return Core("distance", end=family.end, width=family.width)
    core = nonlinear.core[centre][neighbour]
    if core.cutoff != family.cutoff:
        raise InputError(
            f"{what}: the core repulsion ends at {core.cutoff} Å, the radial functions at "
            f"{family.cutoff} Å; a .yace file has one cut-off"
        )
    if isinstance(core, ZblRadial) and nonlinear.mode == "zbl" and nonlinear.inner is not None:
        begin, width = (float(x) for x in nonlinear.inner[centre, neighbour])
        if family.end == 0 and (family.name != "ChebExpCos" or family.window == core.width):
            return Core("zbl", core.prefactor, 1.0, begin + width, width, core.width)
    if isinstance(core, CoreRadial) and nonlinear.mode == "density":
        if core.end is None and family.end == 0:
            return Core("density", core.prefactor, core.decay)
    if isinstance(core, CoreRadial) and nonlinear.mode == "distance" and core.end is not None:
        if family.end == core.end and (core.end == 0 or family.width == core.width):
            return Core("distance", core.prefactor, core.decay, core.end, core.width)
    raise InputError(
        f"{what}: a .yace file has no {type(core).__name__} of mode {nonlinear.mode} beside "
        f"{family.name} functions with the inner cut-off {family.end} Å"
    )
