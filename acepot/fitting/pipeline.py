"""run_fit: a fit from files: read, fit, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.choice import choose
from acepot.fitting.config import Data, FitConfig, load_config
from acepot.fitting.fit import fit_structures
from acepot.fitting.fitted import Fit, Say
from acepot.fitting.holdout import held_out
from acepot.fitting.observables import Observable
from acepot.fitting.resume import Memory
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import LabelCount, no_labels
from acepot.schema import from_mapping
from acepot.structure import Structure

__all__ = ["read", "resolved_basis", "run_fit"]


def run_fit(
    config: FitConfig | str | Path | Mapping[str, Any],
    *,
    say: Say | None = None,
    threads: int | None = None,
    memory: Memory | None = None,
) -> Fit:
    """Fit a model to structures in files.

    Args:
        config: a configuration, its TOML file, or the same as a mapping.
        say: called with lines for people; None: silent.
        threads: structures handled at once; None: one per processor.
        memory: where checkpoints go, to go on if this process is ended.

    Returns:
        The model, its posterior, the report and the predictions.

    Raises:
        InputError: data or configuration are wrong; the message says what to change.
    """
    if isinstance(config, (str, Path)):
        config = load_config(config)
    elif isinstance(config, Mapping):
        config = from_mapping(FitConfig, config)
    config = replace(config, data=config.data.found())
    train, test, notes = read(config, say or (lambda _line: None))
    fit = fit_structures(
        train, test, config.recipe, config=config, threads=threads, say=say, memory=memory,
        notes=notes, accept_labels=config.data.accept_labels,
    )  # fmt: skip
    fit.report  # noqa: B018 - evaluates all structures, and finds out now if one cannot be
    return fit


def resolved_basis(path: str | Path) -> BasisSpec:
    """The basis that the TOML file of a fit asks for, before it is built.

    The data are read where something follows from them.
    """
    config = load_config(path)
    spec, data = config.basis, config.data
    if spec.elements and spec.cutoff is not None and (spec.functions or spec.degree is not None):
        return resolve(spec)
    train, test = (
        [s for name in names for s in _file(name, data)[0]]
        for names in (data.train_files, data.test_files)
    )
    train, drawn = held_out(train, data.test_fraction, data.test_seed)
    test += drawn
    return choose(config.recipe, train, test, "data.fit", watched=True).recipe.basis


def _file(name: str, data: Data) -> tuple[list[Structure], Any]:
    return read_structures(name, data.label_keys, config_type_key=data.config_type_key)


def read(config: FitConfig, say: Say) -> tuple[list[Structure], list[Structure], list[str]]:
    """Training and test structures, and what is doubtful about their labels.

    Args:
        config: whose files are found.
        say: told which labels there are.

    Raises:
        InputError: a file cannot be read, or holds no labels that are fitted.
    """
    data = config.data
    recipe = config.recipe
    fitted = Observable.among(recipe.observables)
    sets: list[list[Structure]] = []
    notes: list[str] = []
    for part, names in (("train", data.train_files), ("test", data.test_files)):
        structures: list[Structure] = []
        for name in names:
            found, count = _file(name, data)
            say(str(count))
            notes += count.notes
            if "forces" in recipe.observables and not count.forces and part == "train":
                notes.append(_no_forces(count))
            if all(one.label(s) is None for s in found for one in fitted):
                raise no_labels(count, recipe.observables)
            structures += found
        sets.append(structures)
    train, test = sets
    if not train:
        raise InputError("data.train: the files hold no structure")
    if data.test_fraction:
        train, drawn = held_out(train, data.test_fraction, data.test_seed)
        test += drawn
        say(
            f"test: {len(drawn)} of {len(drawn) + len(train)} structures, "
            f"{100 * data.test_fraction:g} % of each config type (seed {data.test_seed})"
        )
    labelled = [one.name for one in fitted if any(one.label(s) is not None for s in train)]
    ignored = [
        name
        for name, one in Observable.known.items()
        if name not in recipe.observables and any(one.label(s) is not None for s in train)
    ]
    tried = [name for name in ignored if name in recipe.tried]
    ignored = [name for name in ignored if name not in tried]
    say(
        f"fitting {', '.join(labelled)}"
        + (f", and {', '.join(tried)} if consistent" if tried else "")
        + (f" ({', '.join(ignored)} labels are compared but not fitted)" if ignored else "")
    )
    return train, test, notes


def _no_forces(count: LabelCount) -> str:
    """What the columns of a file without forces are."""
    return (
        f"{Path(count.path).name}: no forces are found by name; its per-atom columns are "
        f"{', '.join(count.columns)}; if one of them is the forces, name it (keys: forces=...)"
    )
