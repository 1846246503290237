"""run_hamiltonian: from files with matrices to a fitted Hamiltonian, its report and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from acepot.hamiltonian.accuracy import (
    Error,
    LevelErrors,
    block_errors,
    in_window,
    level_errors,
)
from acepot.hamiltonian.band_energy import divisions, electrons_of
from acepot.hamiltonian.config import HamiltonianConfig, dump_config
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.families import matched
from acepot.hamiltonian.fit import HamiltonianFit, Progress, fit_hamiltonian
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import Snapshot
from acepot.hamiltonian.spectrum import mesh
from acepot.io.files import replaced
from acepot.io.modelfile import save
from acepot.run.figure import picture
from acepot.run.publication import publishing
from acepot.uncertainty.conformal import held, likely_scale, widths

__all__ = ["FILES", "MODEL", "HamiltonianReport", "run_hamiltonian"]

MODEL, SETTINGS, REPORT, PICTURE = (
    "model.acepot", "hamiltonian.toml", "report.json", "errors.png",
)  # fmt: skip
FILES = (SETTINGS, REPORT, PICTURE, MODEL)
#: Structures whose levels are compared, at most, of the training set.
_MOST = 10


@dataclass(frozen=True, eq=False)
class HamiltonianReport:
    """What a fit leaves besides its model.

    Args:
        fit: it.
        blocks: errors of blocks, by set: train and test.
        levels: errors of levels of structures, by set; none where electrons are not known.
        scale: the factor of deviations of levels with which they are as large as errors.
        widths: half the widths of intervals in units of the deviation, by their stated level.
        coverage: how often intervals of a structure of the test set hold, by their stated level,
            as wide as the other ones make them.
    """

    fit: HamiltonianFit
    blocks: dict[str, list[Error]]
    levels: dict[str, list[LevelErrors]]
    scale: float | None
    widths: dict[float, float]
    coverage: dict[float, float]

    def lines(self) -> list[str]:
        """It for people."""
        made = [f"{'errors, meV':32s}{'train':>18s}{'test':>18s}", f"{'':32s}{'MAE / RMSE':>18s}"]
        every: dict[str, dict[str, str]] = {}
        for name, blocks in self.blocks.items():
            for error in blocks:
                text = f"{error.mae:.3f} / {error.rmse:.3f}"
                every.setdefault(error.what, {})[name] = text
        for what, by_set in every.items():
            made.append(f"{what:32s}{by_set.get('train', ''):>18s}{by_set.get('test', ''):>18s}")
        for name, errors in self.levels.items():
            if not errors:
                continue
            occupied = np.mean([e.occupied.mae for e in errors])
            window = np.mean([e.window.mae for e in errors])
            dos = np.mean([e.dos for e in errors])
            made.append(
                f"levels of {name}: occupied {occupied:.2f} meV, from 10 eV below the Fermi level "
                f"to 5 eV above {window:.2f} meV, density of states {100 * dos:.1f} % elsewhere"
            )
        for level, found in self.coverage.items():
            made.append(f"intervals of {100 * level:.0f} % hold for {100 * found:.1f} % of levels")
        return made


def run_hamiltonian(
    config: HamiltonianConfig,
    folder: str | Path,
    *,
    say: Callable[[str], None],
    progress: Progress | None = None,
) -> HamiltonianReport:
    """Fit a Hamiltonian from files and write it with its report.

    Leaves hamiltonian.toml (every default written out), report.json, errors.png and, last,
    model.acepot; each replaces an earlier one only when it is complete.

    Args:
        config: of the fit.
        folder: for the files.
        say: takes lines for people.
        progress: told what is done.

    Raises:
        InputError: files that cannot be read or do not go together, or settings that are wrong.
    """
    folder = Path(folder)
    with publishing(folder, FILES, say, what="hamiltonian") as files:
        sets = {"train": _read(config.data.train, say), "test": _read(config.data.test, say)}
        electrons = config.data.electrons or None
        fitted = fit_hamiltonian(
            sets["train"], config.hamiltonian, electrons=electrons, progress=progress
        )
        fitted = replace(fitted, model=replace(fitted.model, filling=config.levels))
        report = _report(fitted, config, sets)
        if report.scale is not None:
            model = fitted.model
            kept = {
                **model.provenance, "scale of deviations": report.scale,
                "half widths of intervals": _by_percent(report.widths),
            }  # fmt: skip
            fitted = replace(fitted, model=replace(model, provenance=kept))
            report = replace(report, fit=fitted)
        with replaced(files.file(SETTINGS)) as file:
            file.write(dump_config(config, folder.resolve()))
        with replaced(files.file(REPORT)) as file:
            json.dump(_plain(report), file, indent=1)
        draw_errors(HamiltonianEvaluator(fitted.model), sets, files.file(PICTURE))
        save(fitted.model, files.file(MODEL))
    for line in report.lines():
        say(line)
    return report


def _read(paths: Sequence[str], say: Callable[[str], None]) -> list[Snapshot]:
    """The snapshots of files or folders."""
    found: list[Snapshot] = []
    for path in paths:
        imported = read(path)
        worst = max((one.residual for one in imported if one.residual is not None), default=None)
        checked = "no overlap to check" if worst is None else f"overlap check {worst:.1e}"
        say(f"{path}: {len(imported)} structures, {checked}")
        found += [one.snapshot for one in imported]
    return found


def _report(
    fitted: HamiltonianFit, config: HamiltonianConfig, sets: dict[str, list[Snapshot]]
) -> HamiltonianReport:
    """Errors of both sets."""
    evaluator = HamiltonianEvaluator(fitted.model)
    there = {name: snapshots for name, snapshots in sets.items() if snapshots}
    blocks = {name: block_errors(evaluator, snapshots) for name, snapshots in there.items()}
    found: dict[str, list[LevelErrors]] = {}
    if fitted.model.electrons:
        for name, snapshots in there.items():
            found[name] = [
                level_errors(
                    evaluator, one, mesh(divisions(one.structure, config.levels)),
                    electrons_of(fitted.model, one.structure, config.levels.charge),
                    config.levels.temperature,
                )
                for one in (snapshots if name == "test" else snapshots[:_MOST])
            ]  # fmt: skip
    errors, sigmas = in_window(found.get("test", []))
    if not errors:
        return HamiltonianReport(fitted, blocks, found, None, {}, {})
    inside = held(errors, sigmas) if len(errors) > 1 else {}
    scale = likely_scale(errors, sigmas)
    return HamiltonianReport(fitted, blocks, found, scale, widths(errors, sigmas), inside)


def _by_percent(by_level: Mapping[float, float]) -> dict[str, float]:
    return {f"{100 * level:.0f}": number for level, number in by_level.items()}


def _plain(report: HamiltonianReport) -> dict[str, Any]:
    """The report as JSON can hold it."""
    levels = {
        name: [
            {
                "name": one.name, "occupied": asdict(one.occupied), "window": asdict(one.window),
                "gap": one.gap, "fermi": one.fermi, "density of states elsewhere": one.dos,
            }
            for one in errors
        ]
        for name, errors in report.levels.items()
    }  # fmt: skip
    return {
        "blocks": {name: [asdict(e) for e in errors] for name, errors in report.blocks.items()},
        "levels": levels,
        "scale of deviations": report.scale,
        "half widths of intervals": _by_percent(report.widths),
        "coverage": {str(level): found for level, found in report.coverage.items()},
        "solutions": {name: one.report for name, one in report.fit.solutions.items()},
    }


def draw_errors(
    evaluator: HamiltonianEvaluator, sets: dict[str, list[Snapshot]], file: str | Path
) -> None:
    """Blocks and their errors against the length of the bond, as a picture.

    Args:
        evaluator: of the model.
        sets: snapshots by name.
        file: PNG.
    """
    with picture(file, 5.2, 3.6) as figure:
        axis = figure.subplots()
        colours = {"train": "#0072b2", "test": "#d55e00"}
        shown = False
        for name, snapshots in sets.items():
            for snapshot in snapshots[:_MOST]:
                made = evaluator.matrices(snapshot.structure).hamiltonian[0]
                for pair, one in snapshot.hamiltonian.pairs.items():
                    r = np.linalg.norm(snapshot.hamiltonian.vectors(pair), axis=1)
                    size = np.abs(one.values).max(axis=(1, 2))
                    off = np.abs(matched(one.index, made.pairs[pair]) - one.values).max(axis=(1, 2))
                    label = None if shown else "blocks"
                    axis.plot(r, 1e3 * size, ".", ms=1.5, color="#bbbbbb", label=label, zorder=0)
                    axis.plot(r, 1e3 * off, ".", ms=1.5, color=colours[name])
                    shown = True
            if snapshots:
                axis.plot([], [], ".", color=colours[name], label=f"errors, {name}")
        axis.set_yscale("log")
        axis.set_xlabel("length of the bond, Å")
        axis.set_ylabel("largest entry of a block, meV")
        axis.legend(loc="upper right")
