"""The folder of a fit: the model file, proven to reproduce the fit, and its papers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from acepot.basis.species import species_indices
from acepot.errors import ConvergenceError
from acepot.fitting.assembled import Probe
from acepot.fitting.config import FitConfig, dump_config
from acepot.fitting.fitted import Fit
from acepot.fitting.observables import Observable
from acepot.fitting.pipeline import run_fit
from acepot.fitting.resume import EVERY, memory_in
from acepot.holes.scan import scan
from acepot.io import modelfile
from acepot.io.files import replaced
from acepot.io.registry import load
from acepot.model import known_shortest
from acepot.potential import Potential
from acepot.report import chemiscope, page
from acepot.report.dimers import dimer_curves
from acepot.report.evaluation import made, write_json
from acepot.report.parity import parity, parity_data
from acepot.report.reliability import reliability_picture
from acepot.report.worst import ranked, write
from acepot.run.figure import require_matplotlib
from acepot.run.publication import COMPLETE, UNFINISHED, Publication
from acepot.uncertainty.calibration import Calibration
from acepot.uncertainty.posterior_file import save_posterior

__all__ = ["WORST", "fit_to_folder", "verify"]

#: The file of the structures with the largest errors.
WORST = "worst.extxyz"
#: The report as a page, and structures for chemiscope.
PAGE, INTERACTIVE = "report.html", "structures.chemiscope.json.gz"

#: Names of files that a fit leaves.
_NAMES = (
    "report.json", "fit.toml", "fit.resolved.toml", WORST, "parity.png", "dimers.png",
    "reliability.png", INTERACTIVE, PAGE, "posterior.acepot", "model.acepot",
)  # fmt: skip
#: Holes that report.json describes, the worst.
_DESCRIBED = 10
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
    every: float = EVERY,
) -> Fit:
    """Fit, save, reload, compare, and only then put the files in place.

    If the process is ended, the same call goes on from the last checkpoint, to the same bytes.
    Checkpoints are in the folder `unfinished`, which is gone when the fit is complete.

    Leaves `model.acepot`, `report.json`, `fit.toml`, `worst.extxyz` (ten structures of the training
    and of the test data with the largest errors, as `report.json` lists them), `posterior.acepot`
    if it is calibrated and, with plots, `parity.png`, `dimers.png`, `reliability.png`, the page
    `report.html` and `structures.chemiscope.json.gz`. Earlier files of these names stay until all
    new ones are there and are then replaced together; a process that ends in between leaves the
    rest to the next. A `fit.toml` with comments is somebody's own and stays, and
    `fit.resolved.toml` is written beside it.

    Args:
        config: what to fit.
        folder: made if it is not there.
        say: called with lines for people.
        threads: structures handled at once; None: one per processor.
        plots: draw the pictures, which needs matplotlib.
        every: least number of seconds between two checkpoints.

    Raises:
        ConvergenceError: the saved model does not reproduce the fit.
        MissingDependency: plots without matplotlib.
        InputError: data, configuration or folder are wrong.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    folder = made(folder)
    unfinished = folder / UNFINISHED
    with (
        memory_in(unfinished, every) as memory,
        Publication(folder, unfinished / COMPLETE, _NAMES, say) as files,
    ):
        fit = run_fit(config, say=say, threads=threads, memory=memory)
        holes = scan(fit.potential, short=True)
        say(str(holes))
        if holes.holes:
            say(f"(acepot check {folder / 'model.acepot'} --holes shows where; docs/holes.md: why)")
            if not fit.recipe.restraint.cells:
                say("(restraint.cells = 100 in a fit.toml, or --repulsive, closes most or all)")
        fit.report["holes"] = holes.report(_DESCRIBED)
        _write(fit, folder, files, say)
        try:
            if plots:
                _draw(fit, folder.resolve().name, files)
        finally:  # the model is there whatever becomes of its pictures
            files.complete()
        memory.remove()
    return fit


def _draw(fit: Fit, name: str, files: Publication) -> None:
    potential = fit.potential
    panels = parity_data(potential, "train", fit.train, fit.train_results)
    panels += parity_data(potential, "test", fit.test, fit.test_results)
    parity(files.file("parity.png"), panels)
    shown = chemiscope.chosen(fit.deviations)
    sigma = chemiscope.spreads(potential, shown) if shown else None
    if shown:
        chemiscope.write(files.file(INTERACTIVE), name, shown, sigma)
    both = zip((one for _, one in shown), sigma or (), strict=False)
    page.write(
        files.file(PAGE), name, fit.report, panels, fit.deviations, list(both),
        INTERACTIVE if shown else "",
    )  # fmt: skip
    dimer_curves(
        files.file("dimers.png"),
        potential,
        shortest=known_shortest(fit.model),
        expanded=fit.assembled.basis.expanded,
    )
    if fit.recipe.committee.calibrate:
        calibration = Calibration.from_provenance(fit.model.provenance)
        seen = {"left out": fit.left_out, **({"test": fit.held_out} if fit.test else {})}
        reliability_picture(files.file("reliability.png"), seen, calibration)


def _write(fit: Fit, folder: Path, files: Publication, say: Callable[[str], None]) -> None:
    """The model, proven to reproduce the fit, its report, and the configuration that repeats it."""
    data = modelfile.model_bytes(fit.model)
    reloaded = load(data)
    if reloaded.basis != fit.model.basis:
        raise ConvergenceError("the reloaded model has another basis; nothing was written")
    difference = verify(fit.assembled.basis.potential(reloaded, 1), fit.probes)
    fit.report["check"] = {
        "structures": len(fit.probes),
        "largest relative difference of the reloaded model to the fit": difference,
    }
    model = files.file("model.acepot")
    with replaced(model, "wb") as file:
        file.write(data)
    if model.read_bytes() != data:
        raise ConvergenceError(f"{model}: differs on disk from what was written")
    if fit.recipe.committee.calibrate:
        save_posterior(fit.posterior, files.file("posterior.acepot"))
    worst = {name: ranked(found) for name, found in fit.deviations.items()}
    fit.report["worst"] = {name: [d.report() for d in found] for name, found in worst.items()}
    write(files.file(WORST), [d for found in worst.values() for d in found])
    write_json(files.file("report.json"), fit.report)
    written = "fit.toml"
    if _has_comments(folder / written):
        written = "fit.resolved.toml"
        say(f"{folder / 'fit.toml'} has comments and stays; every default is in {folder / written}")
    if fit.config is not None:
        with replaced(files.file(written)) as text:
            text.write(dump_config(fit.config, folder))


def _has_comments(path: Path) -> bool:
    """Whether a TOML file is there and has comments, which we never write."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(re.match(r"""(?:[^"'#]|"[^"]*"|'[^']*')*#""", line) for line in lines)


def verify(potential: Potential, probes: Sequence[Probe]) -> float:
    """The largest difference of a model to what its fit predicted.

    Args:
        potential: of the model as reloaded.
        probes: structures with design rows times coefficients.

    Returns:
        Largest difference relative to the largest prediction of each structure.

    Raises:
        ConvergenceError: it is larger than rounding explains.
    """
    model, worst = potential.model, 0.0
    for probe in probes:
        structure = probe.structure
        e0 = float(model.e0[species_indices(model.numbers, structure.numbers)].sum())
        result = potential.compute(structure)
        parts = [
            one.less_e0(one.predicted(structure, result, potential.compute_all), e0)
            for one in Observable.among(probe.quantities)
        ]
        found = np.concatenate([np.zeros(0), *parts])
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
