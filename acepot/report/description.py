"""Models, bases and the compiled evaluator in words."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from acepot.basis.choices import pair_number
from acepot.basis.embedding import Nonlinear
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.native import (
    VARIABLE,
    NativeEvaluator,
    available_threads,
    built_instruction_sets,
    chosen_instruction_set,
    instruction_sets,
)
from acepot.io.registry import load
from acepot.lowering import lower

Lines = list[tuple[str, str]]


def describe_model(path: str | Path) -> Lines:
    """Names and values that tell what is in a model file."""
    model = load(path)
    tables = lower(model)
    lines: Lines = [("file", f"{path} ({Path(path).stat().st_size} bytes)")]
    if not isinstance(model.basis, BasisSpec):
        lines.append(("elements", " ".join(model.elements)))
        lines.append(("basis", f"{tables.functions} functions listed one by one"))
    else:
        lines += describe_basis(model.basis)
    reach = sorted({f"{r:.4g}" for r in tables.cutoff.ravel()}, key=float)
    lines.append(("interacts to", f"{', '.join(reach)} Å"))
    lines += [(f"E0 {s}", f"{e:.8g} eV") for s, e in zip(model.elements, model.e0, strict=True)]
    if model.nonlinear is not None:
        lines += _describe_nonlinear(model.nonlinear, model.numbers)
    members = len(model.coefficients) - 1
    lines.append(("committee", f"{members} members" if members else "none"))
    terms = sum(len(p.factors) for p in tables.products)
    lines.append(("products", f"{terms} of {len(tables.a_l)} one-particle functions"))
    lines.append(("tables", f"largest error {max(t.error for t in tables.radial):.1e}"))
    lines.append(("digest", tables.digest))
    lines.append(("evaluator", f"native, {NativeEvaluator(tables).instruction_set}"))
    for name, value in model.provenance.items():
        if isinstance(value, dict) and name != "fit":
            text = ", ".join(f"{k} {_short(v)}" for k, v in value.items())
            lines.append((name, text))
        elif not isinstance(value, dict):
            lines.append((name, _short(value)))
    return lines


def describe_native() -> Lines:
    """What the compiled evaluator uses, and what else there is.

    Raises:
        MissingDependency: it was not built.
        InputError: the environment variable forces an instruction set that is not there.
    """
    forced, chosen, here = os.environ.get(VARIABLE), chosen_instruction_set(), instruction_sets()
    if chosen not in here:
        raise InputError(f"{VARIABLE}: expected one of {', '.join(here)}, got {chosen!r}")
    why = f"forced by {VARIABLE}" if forced else f"the best; {VARIABLE} forces another"
    threads = os.environ.get("OMP_NUM_THREADS", "")
    given = f"OMP_NUM_THREADS={threads}" if threads else "all processors; OMP_NUM_THREADS sets them"
    return [
        ("instruction set", f"{chosen} ({why})"),
        ("in this build", ", ".join(built_instruction_sets())),
        ("on this machine", ", ".join(here)),
        ("threads", f"{available_threads()} ({given})"),
    ]


def describe_basis(spec: BasisSpec) -> Lines:
    """What a resolved basis is, and how large."""
    sizes = basis_size(spec)
    symbols = spec.elements
    kinds = ", ".join(f"{count} {name}" for name, count in sizes.items() if name != "total")
    cutoffs = [
        f"{a}-{b} {pair_number(spec.cutoff, a, b, 'cutoff'):.4g}" for a in symbols for b in symbols
    ]
    return [
        ("elements", " ".join(symbols)),
        ("functions", f"{sizes['total']} ({kinds})"),
        ("formulation", spec.formulation),
        ("radial", spec.radial.title),
        ("cut-offs", f"{', '.join(cutoffs)} Å"),
    ]


def _describe_nonlinear(nonlinear: Nonlinear, numbers: tuple[int, ...]) -> Lines:
    lines: Lines = []
    for z, one in zip(numbers, nonlinear.embeddings, strict=True):
        parts = zip(one.weights, one.exponents, strict=True)
        terms = " + ".join(f"{w:g} F_{m:g}" for w, m in parts)
        lines.append((f"energy {SYMBOLS[z]}", f"{terms}, {one.kind}"))
    return [*lines, ("repulsion", nonlinear.mode)]


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)
