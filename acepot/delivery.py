"""What a fit leaves behind: the model file, proven to reproduce the fit, and its papers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.species import species_indices
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.native import processors
from acepot.evaluate.protocol import Quantity, Result
from acepot.figure import require_matplotlib
from acepot.fitting.assemble import VOIGT
from acepot.fitting.config import FitConfig, dump_config
from acepot.fitting.pipeline import Fit, Probe, errors, run_fit
from acepot.io import acefile
from acepot.io.datasets import read_structures
from acepot.io.files import replaced
from acepot.io.labels import LabelKeys, require_labels
from acepot.io.registry import load
from acepot.model import Model
from acepot.plots import ParityData, dimer_curves, parity
from acepot.potential import Potential
from acepot.structure import Structure

#: Reloaded predictions against design rows times coefficients, relative to the largest
#: prediction: rounding of sums over a thousand functions with coefficients that cancel.
_SAME = 1e-7


def fit_to_folder(
    config: FitConfig,
    folder: str | Path,
    *,
    say: Callable[[str], None],
    threads: int | None = None,
    plots: bool = True,
) -> Fit:
    """Fit, save, reload, compare, and only then put the files in place.

    Leaves `model.acepot`, `report.json`, `fit.toml` and, with plots, `parity.png` and
    `dimers.png`. Earlier files of these names stay until the new ones are complete; a `fit.toml`
    with comments is somebody's own and stays, and `fit.resolved.toml` is written beside it.

    Args:
        config: what to fit.
        folder: made if it is not there.
        say: called with lines for people.
        threads: structures handled at once; None: one per processor.
        plots: draw the pictures, which needs matplotlib.

    Raises:
        ConvergenceError: the saved model does not reproduce the fit.
        MissingDependency: plots without matplotlib.
        InputError: data, configuration or folder are wrong.
    """
    if plots:
        require_matplotlib()
    folder = _made(folder)
    fit = run_fit(config, say=say, threads=threads)
    data = acefile.model_bytes(fit.model)
    worst = verify(acefile.load(data), fit.probes)
    fit.report["check"] = {
        "structures": len(fit.probes),
        "largest relative difference of the reloaded model to the fit": worst,
    }
    with replaced(folder / "model.acepot", "wb") as file:
        file.write(data)
    if (folder / "model.acepot").read_bytes() != data:
        raise ConvergenceError(f"{folder / 'model.acepot'}: differs on disk from what was written")
    write_json(folder / "report.json", fit.report)
    written = folder / "fit.toml"
    if _has_comments(written):
        written = folder / "fit.resolved.toml"
        say(f"{folder / 'fit.toml'} has comments and stays; every default is in {written}")
    with replaced(written) as file:
        file.write(dump_config(fit.config, folder))
    if plots:
        panels = parity_data(fit.model, "train", fit.train, fit.train_results)
        panels += parity_data(fit.model, "test", fit.test, fit.test_results)
        parity(folder / "parity.png", panels)
        shortest = _shortest(fit.model)
        dimer_curves(folder / "dimers.png", Potential(fit.model), shortest=shortest)
    return fit


def _has_comments(path: Path) -> bool:
    """Whether a TOML file is there and has comments, which we never write."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(re.match(r"""(?:[^"'#]|"[^"]*"|'[^']*')*#""", line) for line in lines)


def _made(folder: str | Path) -> Path:
    """A folder, made if it is not there.

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder: {error.strerror}") from None
    return folder


def verify(model: Model, probes: Sequence[Probe]) -> float:
    """The largest difference of a model to what its fit predicted.

    Args:
        model: as reloaded.
        probes: structures with design rows times coefficients.

    Returns:
        Largest difference relative to the largest prediction of each structure.

    Raises:
        ConvergenceError: it is larger than rounding explains.
    """
    potential = Potential(model)
    worst = 0.0
    for probe in probes:
        structure = probe.structure
        species = species_indices(model.numbers, structure.numbers)
        result = potential.compute(structure)
        parts = {
            "energy": np.array([result.energy - model.e0[species].sum()]),
            "forces": result.forces.ravel(),
            "virial": result.virial[VOIGT],
        }
        found = np.concatenate([parts[name] for name in probe.quantities] or [np.zeros(0)])
        size = np.abs(probe.predicted).max(initial=1.0)
        error = float(np.abs(found - probe.predicted).max(initial=0.0)) / size
        if not error <= _SAME:  # also when it is not a number
            raise ConvergenceError(
                f"the reloaded model differs from the fit by {error:.1e} on {structure.name}; "
                "nothing was written. The fit is too ill-conditioned: use a prior (solver blr, "
                "or a damping), or lower the degree"
            )
        worst = max(worst, error)
    return worst


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model on the structures of a file.

    Args:
        structures: with labels.
        results: predictions in the same order.
        report: errors by config type under "data".
        model: the model.
    """

    structures: list[Structure]
    results: list[Result]
    report: dict[str, Any]
    model: Model


def evaluate_file(
    model: str | Path,
    data: str | Path,
    keys: LabelKeys,
    *,
    need_labels: bool,
    say: Callable[[str], None],
    threads: int | None = None,
) -> Evaluation:
    """Evaluate a model file on a file of structures.

    Args:
        model: model file.
        data: structures.
        keys: names of the labels.
        need_labels: refuse a file without any.
        say: called with lines for people.
        threads: structures handled at once; None: one per processor.

    Raises:
        InputError: no labels where they are needed, or structures the model cannot evaluate.
    """
    loaded = load(model)
    structures, count = read_structures(data, keys)
    say(str(count))
    if need_labels:
        require_labels(count)
    threads = threads or processors()
    results = Potential(loaded, threads=threads).compute_all(structures)
    return Evaluation(structures, results, {"data": errors(structures, results)}, loaded)


def draw(
    model: str | Path,
    folder: str | Path,
    data: str | Path | None,
    keys: LabelKeys,
    *,
    say: Callable[[str], None],
) -> list[Path]:
    """Draw dimer curves and, with data, parity plots.

    Args:
        model: model file.
        folder: made if it is not there.
        data: labelled structures, or None.
        keys: names of the labels.
        say: called with lines for people.

    Returns:
        The pictures.
    """
    require_matplotlib()
    folder = _made(folder)
    loaded = load(model)
    pictures = [folder / "dimers.png"]
    dimer_curves(pictures[0], Potential(loaded), shortest=_shortest(loaded))
    if data is not None:
        done = evaluate_file(model, data, keys, need_labels=True, say=say)
        pictures.append(folder / "parity.png")
        parity(pictures[1], parity_data(done.model, "data", done.structures, done.results))
    return pictures


def _shortest(model: Model) -> dict[str, float]:
    """The shortest distances a model says it was fitted to; models may come from anywhere."""
    stored = model.provenance.get("shortest distances")
    found = stored.items() if isinstance(stored, Mapping) else ()
    return {str(pair): float(r) for pair, r in found if isinstance(r, (int, float))}


def parity_data(
    model: Model, split: str, structures: Sequence[Structure], results: Sequence[Result]
) -> list[ParityData]:
    """Labels and predictions by quantity and config type, ready to draw.

    Args:
        model: for E0, which is taken off the energies.
        split: "train", "test" or another name for a row of panels.
        structures: with labels.
        results: predictions in the same order.
    """
    gathered: dict[tuple[Quantity, str], list[tuple[Any, Any]]] = {}
    for structure, result in zip(structures, results, strict=True):
        n = len(structure)
        base = model.e0[species_indices(model.numbers, structure.numbers)].sum()
        group = structure.config_type
        found: dict[Quantity, tuple[Any, Any]] = {}
        if structure.energy is not None:
            found["energy"] = [(structure.energy - base) / n], [(result.energy - base) / n]
        if structure.forces is not None:
            found["forces"] = structure.forces.ravel(), result.forces.ravel()
        if structure.virial is not None:
            found["virial"] = structure.virial[VOIGT] / n, result.virial[VOIGT] / n
        for quantity, pair in found.items():
            gathered.setdefault((quantity, group), []).append(pair)
    return [
        ParityData(
            quantity,
            split,
            group,
            np.concatenate([p[0] for p in pairs]),
            np.concatenate([p[1] for p in pairs]),
        )
        for (quantity, group), pairs in gathered.items()
    ]


def write_json(path: str | Path, report: Mapping[str, Any]) -> None:
    """Write a report so that an earlier one stays until this one is complete."""
    with replaced(path) as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
        file.write("\n")
