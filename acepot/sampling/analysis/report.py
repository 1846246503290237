"""The analysis as files and text: JSON with everything, CSV with the curves, tables for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.io.files import replaced
from acepot.sampling.analysis.clapeyron import Line, Slope
from acepot.sampling.analysis.peaks import Measured, Peak
from acepot.sampling.analysis.phases import Phase
from acepot.sampling.analysis.pipeline import Analysis, AtPressure
from acepot.sampling.analysis.thermodynamics import Curves
from acepot.units import GIGAPASCAL

__all__ = ["csv_text", "json_table", "tables", "write"]

#: The functions of `Curves` in files, with their units: of the whole cell, not an atom.
_TITLES = {
    "log_z": "ln_Z",
    "enthalpy": "enthalpy_eV",
    "heat_capacity": "heat_capacity_k",
    "volume": "volume_A3",
    "expansion": "expansion_1/K",
    "gibbs": "gibbs_eV",
    "entropy": "entropy_k",
    "internal": "internal_eV",
}


def write(analysis: Analysis, folder: str | Path) -> list[Path]:
    """Write analysis.json and curves.csv.

    Args:
        analysis: of runs.
        folder: where to.

    Returns:
        The files.
    """
    files = {
        Path(folder) / "analysis.json": json.dumps(json_table(analysis), indent=1) + "\n",
        Path(folder) / "curves.csv": csv_text(analysis),
    }
    for path, text in files.items():
        with replaced(path) as handle:
            handle.write(text)
    return list(files)


# ---- JSON


def json_table(analysis: Analysis) -> dict[str, Any]:
    """Everything, as plain tables: numbers that are not known are null.

    Energies are in eV, pressures in GPa, volumes in Å³, of the whole cell; slopes dT/dP in K/GPa.
    """
    return {
        "folders": list(analysis.folders),
        "choices": asdict(analysis.choices)
        | {"pressures": [one / GIGAPASCAL for one in analysis.choices.pressures]},
        "pressures": [_at_pressure(one) for one in analysis.pressures],
        "lines": [_line(one, analysis) for one in analysis.lines],
    }


def _at_pressure(one: AtPressure) -> dict[str, Any]:
    estimate = one.estimate
    return {
        "pressure_GPa": one.pressure / GIGAPASCAL,
        "sampled_at_GPa": one.sampled / GIGAPASCAL,
        "atoms": one.atoms,
        "runs": estimate.count,
        "errors_from": estimate.source,
        "temperature_K": _numbers(one.temperatures),
        "curves": _curves(estimate.value),
        "errors_runs": None if estimate.runs is None else _curves(estimate.runs),
        "errors_redraws": None if estimate.redraws is None else _curves(estimate.redraws),
        "error_theory_ln_Z": _numbers(estimate.theory),
        "validity": [
            {
                "iterations": v.iterations,
                "first_iteration": v.first.tolist(),
                "last_iteration": v.last.tolist(),
                "entropy_nats": _numbers(v.entropy),
                "live_share": _numbers(v.live),
                "few": v.few.tolist(),
                "clipped": v.clipped.tolist(),
            }
            for v in one.validity
        ],
        "peaks": [_peak(peak) for peak in one.peaks],
        "phases": [asdict(phase) for phase in one.phases],
        "quenched": list(one.quenched),
    }


def _peak(peak: Peak) -> dict[str, Any]:
    return {
        "temperature_K": _measured(peak.temperature),
        "heat_capacity_k": _measured(peak.height),
        "width_K": _measured(peak.width),
        "latent_heat_eV": _measured(peak.latent_heat),
        "volume_step_A3": _measured(peak.step),
        "clapeyron_K/GPa": _measured(peak.slope, GIGAPASCAL),
        "separation": peak.separation,
        "two_phases": peak.resolved,
        "feet_K": [peak.low, peak.high],
        "good": peak.good,
    }


def _line(line: Line, analysis: Analysis) -> dict[str, Any]:
    return {
        "pressures_GPa": [analysis.pressures[i].pressure / GIGAPASCAL for i in line.pressures],
        "temperatures_K": [peak.temperature.value for peak in line.peaks],
        "slopes": [
            {
                "from_GPa": analysis.pressures[slope.first].pressure / GIGAPASCAL,
                "to_GPa": analysis.pressures[slope.second].pressure / GIGAPASCAL,
                "peaks_K/GPa": _scaled(slope.peaks),
                "sides_K/GPa": _scaled(slope.sides),
                "deviation": slope.deviation,
            }
            for slope in line.slopes
        ],
    }


def _curves(curves: Curves) -> dict[str, list[float | None]]:
    return {title: _numbers(getattr(curves, name)) for name, title in _TITLES.items()}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(one) if np.isfinite(one) else None for one in values]


def _measured(one: Measured, unit: float = 1.0) -> dict[str, float | None]:
    named = {"value": one.value, "error": one.error, "runs": one.runs, "redraws": one.redraws}
    return {key: None if value is None else value * unit for key, value in named.items()}


def _scaled(pair: tuple[float, float | None]) -> list[float | None]:
    return [None if one is None else one * GIGAPASCAL for one in pair]


# ---- CSV


def csv_text(analysis: Analysis) -> str:
    """A row for every pressure and temperature: functions, their errors, and whether they hold."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    errors = [f"{title}_error" for title in _TITLES.values()]
    rows.writerow(["pressure_GPa", "temperature_K", *_TITLES.values(), *errors, "good"])
    for one in analysis.pressures:
        error = one.estimate.error
        columns = [getattr(one.estimate.value, name) for name in _TITLES]
        none = np.full(len(one.temperatures), np.nan)
        columns += [none if error is None else getattr(error, name) for name in _TITLES]
        for at, temperature in enumerate(one.temperatures):
            numbers = [one.pressure / GIGAPASCAL, temperature, *(c[at] for c in columns)]
            words = [repr(float(n)) if np.isfinite(n) else "" for n in numbers]
            rows.writerow([*words, int(one.good[at])])
    return out.getvalue()


# ---- text


def tables(analysis: Analysis) -> str:
    """What people want to see first: transitions, phases, lines, and what not to trust."""
    return "\n".join(_text(analysis))


def _text(analysis: Analysis) -> Iterator[str]:
    for one in analysis.pressures:
        estimate = one.estimate
        yield _title(one)
        yield from _warnings(one)
        yield (
            f"  {'T / K':>18} {'C_p / k':>16} {'width / K':>16} {'ΔH / eV/atom':>18} "
            f"{'ΔV / Å³/atom':>18}  sides"
        )
        for peak in one.peaks:
            yield _row(peak, max(one.atoms, 1))
        if not one.peaks:
            yield "  no peak of C_p"
        if estimate.source != "none":
            yield f"  errors: {_source(one)}"
        for phase in one.phases:
            yield _phase(phase)
        if one.quenched[0] > one.quenched[1]:
            yield f"  {one.quenched[0] - one.quenched[1]} of {one.quenched[0]} quenches did not end"
    for line in analysis.lines:
        for slope in line.slopes:
            yield _slope(slope, analysis)


def _title(one: AtPressure) -> str:
    moved = "" if one.pressure == one.sampled else f", from {one.sampled / GIGAPASCAL:.6g} GPa"
    low, high = one.temperatures[0], one.temperatures[-1]
    return f"{one.pressure / GIGAPASCAL:.6g} GPa{moved}: {low:.5g} to {high:.5g} K"


def _warnings(one: AtPressure) -> Iterator[str]:
    for what, which in (
        ("the run ends too early", [v.clipped for v in one.validity]),
        ("too few samples hold the weight", [v.few for v in one.validity]),
    ):
        bad = one.temperatures[np.array(which).any(axis=0)]
        if len(bad):
            yield f"  not to be trusted: {what} for {bad[0]:.5g} to {bad[-1]:.5g} K"


def _row(peak: Peak, atoms: int) -> str:
    numbers = [
        (peak.temperature, 1.0, 18),
        (peak.height, 1.0, 16),
        (peak.width, 1.0, 16),
        (peak.latent_heat, 1.0 / atoms, 18),
        (peak.step, 1.0 / atoms, 18),
    ]
    words = " ".join(f"{_brief(one, unit):>{width}}" for one, unit, width in numbers)
    sides = "two phases" if peak.resolved else "one maximum"
    return f"  {words}  {sides}{'' if peak.good else ', not to be trusted'}"


def _brief(one: Measured, unit: float) -> str:
    error = "" if one.error is None else f" ± {one.error * abs(unit):.2g}"
    return f"{one.value * unit:.5g}{error}"


def _source(one: AtPressure) -> str:
    count = one.estimate.count
    if one.estimate.source == "runs":
        return f"standard errors over {count} independent runs"
    return f"redrawn compressions of {count} run{'s' if count > 1 else ''}"


def _phase(phase: Phase) -> str:
    names = "; ".join(f"{share:.0%} {name}" for name, share in phase.names.items())
    return (
        f"  at {phase.temperature:.5g} K: {names}; Q4 {phase.q4[0]:.3f} ± {phase.q4[1]:.3f}, "
        f"Q6 {phase.q6[0]:.3f} ± {phase.q6[1]:.3f}, {phase.volume[0]:.4g} Å³/atom"
    )


def _slope(slope: Slope, analysis: Analysis) -> str:
    ends = [analysis.pressures[i] for i in (slope.first, slope.second)]
    low, high = (one.pressure / GIGAPASCAL for one in ends)
    (peaks, error), (sides, other) = slope.peaks, slope.sides
    words = [
        f"{value * GIGAPASCAL:.4g}" + ("" if e is None else f" ± {e * GIGAPASCAL:.2g}")
        for value, e in ((peaks, error), (sides, other))
    ]
    apart = "" if slope.deviation is None else f" ({slope.deviation:+.1f} standard errors)"
    return (
        f"dT/dP from {low:.6g} to {high:.6g} GPa: {words[0]} K/GPa by the peaks, "
        f"{words[1]} by TΔV/ΔH{apart}"
    )
