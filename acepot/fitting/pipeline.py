"""run_fit: a fit from files: read, fit, report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.choice import choose
from acepot.fitting.config import Data, FitConfig, load_config
from acepot.fitting.fit import fit_structures
from acepot.fitting.fitted import Fit, Say
from acepot.fitting.observables import Observable
from acepot.fitting.resume import Memory
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import no_labels
from acepot.schema import from_mapping
from acepot.structure import Structure

__all__ = ["resolved_basis", "run_fit"]


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
    train, test = _read(config, say or (lambda _line: None))
    fit = fit_structures(
        train, test, config.recipe, config=config, threads=threads, say=say, memory=memory
    )
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
    return choose(config.recipe, train, test, "data.fit").recipe.basis


def _file(name: str, data: Data) -> tuple[list[Structure], Any]:
    return read_structures(name, data.label_keys, config_type_key=data.config_type_key)


def _read(config: FitConfig, say: Say) -> tuple[list[Structure], list[Structure]]:
    """Training and test structures."""
    data = config.data
    fitted = Observable.among(data.fit)
    sets: list[list[Structure]] = []
    for names in (data.train_files, data.test_files):
        structures: list[Structure] = []
        for name in names:
            found, count = _file(name, data)
            say(str(count))
            if all(one.label(s) is None for s in found for one in fitted):
                raise no_labels(count, data.fit)
            structures += found
        sets.append(structures)
    train, test = sets
    if not train:
        raise InputError("data.train: the files hold no structure")
    ignored = [
        name
        for name, one in Observable.known.items()
        if name not in data.fit and any(one.label(s) is not None for s in train)
    ]
    say(
        f"fitting {', '.join(data.fit)}"
        + (f" ({', '.join(ignored)} labels are compared but not fitted)" if ignored else "")
    )
    return train, test
