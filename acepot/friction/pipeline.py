"""A fit of friction from its TOML to files: a model, what it was made of, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.friction.config import FrictionConfig, dump_config
from acepot.friction.data import FrictionData
from acepot.friction.fit import Errors, FrictionFit, errors_of, fit_friction
from acepot.friction.readers import read_friction
from acepot.friction.report import draw_kernels, draw_parity, report, write_report
from acepot.io.files import replaced
from acepot.io.modelfile import save
from acepot.io.registry import load
from acepot.model import FrictionModel
from acepot.neighbours import build
from acepot.run.figure import require_matplotlib
from acepot.run.publication import publishing

__all__ = ["FILES", "run_friction_fit", "told"]

MODEL, SETTINGS, REPORT = "model.acepot", "friction.toml", "report.json"
PARITY, KERNELS = "parity.png", "kernels.png"
FILES = (SETTINGS, REPORT, PARITY, KERNELS, MODEL)


def run_friction_fit(
    config: FrictionConfig, folder: str | Path, *, say: Callable[[str], None], plots: bool = True
) -> FrictionFit:
    """Fit, write the model, read it again and see that it says the same.

    Args:
        config: of the fit.
        folder: where files go.
        say: takes lines for people.
        plots: draw figures, which needs matplotlib.

    Raises:
        InputError: data or settings that cannot be fitted.
        MissingDependency: plots without matplotlib.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    data = config.data

    def read(names: tuple[str, ...]) -> list[FrictionData]:
        found = (
            read_friction(name, unit=data.unit, element=data.element, say=say) for name in names
        )
        return [one for several in found for one in several]

    train, test = read(data.train), read(data.test)
    home = Path(folder)
    with publishing(home, FILES, say, what="friction") as files:
        fit = fit_friction(train, config.fit, say=say)
        save(fit.model, files.file(MODEL))
        with replaced(files.file(SETTINGS)) as file:
            file.write(dump_config(config, home.resolve()))
        model = load(files.file(MODEL), FrictionModel)
        errors = {"train": errors_of(model, train)}
        if test:
            errors["test"] = errors_of(model, test)
        _check_written(fit, errors["train"], train)
        write_report(files.file(REPORT), report(fit, errors))
        if plots:
            draw_parity(files.file(PARITY), model, test or train)
            if any(part.bonds is not None for part in model.parts):
                draw_kernels(files.file(KERNELS), model, train, shortest_of(train))
    for name, one in errors.items():
        say(f"{name}: {told(one)}")
    return fit


def told(errors: Errors) -> str:
    """Errors in words."""
    return (
        f"{errors.structures} tensors, relative error {errors.relative:.3e}, "
        f"rms {errors.rms:.3e} amu/fs, smallest eigenvalue {errors.least:.0e} of the largest"
    )


def shortest_of(data: list[FrictionData]) -> float:
    """The shortest distance of atoms with friction, in Å, not beyond 5 Å."""
    found = []
    for one in data:
        edges = build(one.structure, 5.0)
        both = np.isin(edges.centre, one.atoms) & np.isin(edges.neighbour, one.atoms)
        found.append(np.linalg.norm(edges.vector[both], axis=1).min(initial=5.0))
    return float(min(found))


def _check_written(fit: FrictionFit, errors: Errors, train: list[FrictionData]) -> None:
    """The file says what the fit said."""
    mine = errors_of(fit.model, train)
    if not np.isclose(mine.relative, errors.relative, rtol=1e-9, atol=1e-12):
        raise InputError(
            f"the model that was written does not reproduce the fit: relative error "
            f"{errors.relative:.6e}, expected {mine.relative:.6e}"
        )
