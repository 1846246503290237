"""A fit of a model with charges from its TOML to files: model, settings, report, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from acepot.charges.evaluator import ChargeEvaluator
from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.fitting.charges.config import NAMES, ChargeConfig, dump_config
from acepot.fitting.charges.fit import ChargeErrors, ChargeFit, errors_of, fit_charges
from acepot.io.files import replaced
from acepot.io.modelfile import save
from acepot.io.registry import load
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import LabelKeys
from acepot.model import ChargeModel
from acepot.potential import Potential
from acepot.run.figure import picture, require_matplotlib
from acepot.run.publication import publishing
from acepot.structure import Structure

__all__ = ["FILES", "ChargeRun", "draw_parity", "read_charged", "run_charge_fit"]

MODEL, SETTINGS, REPORT, PICTURE = "model.acepot", "charges.toml", "report.json", "parity.png"
FILES = (SETTINGS, REPORT, PICTURE, MODEL)


@dataclass(frozen=True, eq=False)
class ChargeRun:
    """What a run made.

    Args:
        fit: the fit.
        errors: by set, train and test.
    """

    fit: ChargeFit
    errors: Mapping[str, ChargeErrors]


def read_charged(
    path: str | Path, keys: Mapping[str, str] | None = None, ignore: tuple[str, ...] = ()
) -> tuple[list[Structure], str]:
    """Structures with total charges, charges, dipoles and Born charges.

    Args:
        path: of the file.
        keys: of these labels, by name; those that are not named are looked for.
        ignore: kinds of labels that are left out.

    Returns:
        The structures, and a line for people.

    Raises:
        InputError: as `read_structures`.
    """
    named = dict(keys or {})
    _, count = read_structures(path, LabelKeys(ignore=ignore))
    there = {*count.info, *count.columns}
    for name in NAMES:
        found = next((key for key in (f"REF_{name}", name) if key in there), None)
        if name not in named and found is not None:
            named[name] = found
    structures, count = read_structures(path, LabelKeys(others=named, ignore=ignore))
    return structures, str(count)


def run_charge_fit(
    config: ChargeConfig, folder: str | Path, *, say: Callable[[str], None], plots: bool = True
) -> ChargeRun:
    """Fit, write the model, read it again and see that it says the same.

    Args:
        config: of the fit.
        folder: where files go.
        say: takes lines for people.
        plots: draw a figure, which needs matplotlib.

    Raises:
        InputError: data or settings that cannot be fitted.
        MissingDependency: plots without matplotlib.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    sets: dict[str, list[Structure]] = {}
    for name, paths in (("train", config.data.train), ("test", config.data.test)):
        sets[name] = []
        for path in paths:
            structures, line = read_charged(path, config.data.keys, config.data.ignore)
            say(line)
            sets[name] += structures
    home = Path(folder)
    with publishing(home, FILES, say, what="charges") as files:
        fit = fit_charges(sets["train"], config.fit, say=say)
        save(fit.model, files.file(MODEL))
        model = load(files.file(MODEL), ChargeModel)
        errors = {name: errors_of(model, some) for name, some in sets.items() if some}
        if errors["train"] != fit.errors:
            raise InputError("model.acepot: the model that was read is not the one that was fitted")
        with replaced(files.file(SETTINGS)) as out:
            out.write(dump_config(config, home.resolve()))
        told = {
            "errors": {name: asdict(one) for name, one in errors.items()},
            "losses": list(fit.losses),
            "widths": dict(zip(model.elements, model.widths.tolist(), strict=True)),
            "hardness": dict(zip(model.elements, model.hardness.tolist(), strict=True)),
            "solution": fit.solution.report,
        }
        with replaced(files.file(REPORT)) as out:
            out.write(json.dumps(told, indent=1) + "\n")
        if plots:
            draw_parity(files.file(PICTURE), model, sets["test"] or sets["train"])
    if sets["test"]:
        say(f"test: {errors['test'].line()}")
    return ChargeRun(fit, errors)


def draw_parity(path: Path, model: ChargeModel, structures: Sequence[Structure]) -> None:
    """Energies, forces and charges that are said against those that are given.

    Args:
        path: of the PNG.
        model: with charges.
        structures: with labels.
    """
    results = Potential(model).compute_all(structures)
    charges = ChargeEvaluator(model).charges(structures)
    pairs: dict[str, list[tuple[Floats, Floats]]] = {
        "energy (eV/atom)": [
            (np.array([s.energy / len(s)]), np.array([r.energy / len(s)]))
            for s, r in zip(structures, results, strict=True)
            if s.energy is not None
        ],
        "forces (eV/Å)": [
            (s.forces.ravel(), r.forces.ravel())
            for s, r in zip(structures, results, strict=True)
            if s.forces is not None
        ],
        "charges (e)": [
            (s.labels["charges"].ravel(), c.values)
            for s, c in zip(structures, charges, strict=True)
            if "charges" in s.labels
        ],
    }
    drawn = {title: some for title, some in pairs.items() if some}
    with picture(path, 3.2 * len(drawn), 3.2) as figure:
        for axes, (title, some) in zip(
            np.atleast_1d(figure.subplots(1, len(drawn))), drawn.items(), strict=True
        ):
            given, said = (np.concatenate(each) for each in zip(*some, strict=True))
            axes.plot(given, said, ".", ms=2, rasterized=True)
            ends = [min(given.min(), said.min()), max(given.max(), said.max())]
            axes.plot(ends, ends, color="#333333", lw=0.7)
            axes.set(xlabel=f"{title} given", ylabel="predicted")
        figure.tight_layout()
