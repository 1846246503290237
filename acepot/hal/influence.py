"""What single structures mean for a fit: their leverage, and labels that others contradict."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from acepot.errors import InputError
from acepot.run.page import table
from acepot.uncertainty.calibration import calibrate
from acepot.uncertainty.leverage import suspects
from acepot.uncertainty.predictions import Prediction

__all__ = ["influence"]

#: Structures that are shown.
_SHOWN = 10


def influence(left_out: Sequence[Prediction], calculations: Sequence[int]) -> str:
    """The structures that determine most by themselves, and what cannot be right, as HTML.

    Args:
        left_out: of every structure of the fit, as if it had not been in it.
        calculations: their numbers.
    """
    if not left_out:
        return ""
    parameters = np.array([_parameters(p) for p in left_out])
    rows = []
    for k in np.argsort(-parameters, kind="stable")[:_SHOWN].tolist():
        prediction = left_out[k]
        labels = sum(len(h) for h in prediction.leverage.values())
        forces = prediction.errors.get("forces")
        wrong = "-" if forces is None else f"{np.sqrt(np.mean(forces**2)):.3f}"
        part = f"{100 * parameters[k] / labels:.0f} %" if labels else "-"
        rows.append(
            [
                str(calculations[k]), prediction.structure.config_type,
                str(len(prediction.structure)), f"{parameters[k]:.1f}", part, wrong,
            ]
        )  # fmt: skip
    head = [
        "calculation", "why labelled", "atoms", "parameters", "of its labels",
        "force error if left out (eV/Å)",
    ]  # fmt: skip
    said = (
        f"<p>The data determine {parameters.sum():.0f} parameters. A structure that takes a large "
        "part of its own labels is one that no other can check.</p>"
    )
    return said + table(head, rows) + _contradicted(left_out, calculations)


def _parameters(prediction: Prediction) -> float:
    """Effective parameters that a structure determines by itself."""
    return float(sum(h.sum() for h in prediction.leverage.values()))


def _contradicted(left_out: Sequence[Prediction], calculations: Sequence[int]) -> str:
    """Labels that are far from what all other structures say."""
    try:
        found = suspects(left_out, calibrate(left_out))
    except InputError:  # too few labels to say what is usual
        return ""
    if not found:
        return "<p>No label is contradicted by the others.</p>"
    places = {id(p.structure): k for p, k in zip(left_out, calculations, strict=True)}
    words = [f"calculation {places[id(one.structure)]}, {one}" for one in found[:_SHOWN]]
    lines = "".join(f"<li>{escape(line)}</li>" for line in words)
    return f"<p>Labels that the others contradict:</p><ul>{lines}</ul>"
