"""What a fit needs to know, as frozen data: the one TOML file of a fit.

    [data]
    train = "train.xyz"

is a complete file; everything else has a default. `dump_config` writes every value out, so
that the file kept beside a model repeats its fit with any later version.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.newton_cg import NewtonCG
from acepot.fitting.priors import Algebraic, Prior
from acepot.fitting.recipe import (
    AUTOMATIC,
    TRIED,
    Committee,
    Densities,
    LearnedRadials,
    Recipe,
    Restraint,
    Weights,
    check_observables,
)
from acepot.fitting.solvers import BLR, Solver
from acepot.fitting.weighting import Uniform, Weighting
from acepot.io.files import matching
from acepot.io.structures.labels import LabelKeys
from acepot.schema import LATER, Settings, from_toml, to_mapping, to_toml
from acepot.structure import Structure

__all__ = [
    "Committee",
    "Data",
    "Densities",
    "LearnedRadials",
    "FitConfig",
    "Restraint",
    "Weights",
    "dump_config",
    "load_config",
]


@dataclass(frozen=True)
class Data(Settings):
    """Where the structures are and what their labels are called.

    Args:
        train: file or files to fit, relative to the folder of the TOML file; `*`, `?` and `[...]`
            in a name stand for all files that match.
        test: file or files that are only predicted, likewise.
        energy_key: name of the total energy (eV); None: the reader looks for the usual names.
        forces_key: name of the forces (eV/Å), likewise.
        stress_key: name of the stress -W/V (eV/Å³), likewise.
        virial_key: name of the virial W (eV), likewise.
        config_type_key: name of the group that a structure belongs to.
        fit: the observables that enter the fit; None: energies and forces, and virials if their
            labels are consistent with these.
        keys: names of further labels by observable, of structures or of atoms; they are never
            looked for. "charge" is the total charge (e).
        ignore: kinds of labels that are left out: energy, forces, stress, virial.
        units: of "energy", "forces", "stress", "virial", "positions" where they are not eV and Å.
        accept_labels: fit labels that seem wrong as they are.
        test_fraction: part of the training structures of each config type that is only predicted.
        test_seed: of the generator that draws these.
    """

    train: str | tuple[str, ...]
    test: str | tuple[str, ...] = ()
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    virial_key: str | None = None
    config_type_key: str = "config_type"
    fit: tuple[str, ...] | None = None
    keys: dict[str, str] = field(default_factory=dict, metadata=LATER)
    ignore: tuple[str, ...] = field(default=(), metadata=LATER)
    units: dict[str, str] = field(default_factory=dict, metadata=LATER)
    accept_labels: bool = field(default=False, metadata=LATER)
    test_fraction: float = field(default=0.0, metadata=LATER)
    test_seed: int = field(default=0, metadata=LATER)

    def check(self) -> None:
        """There must be files and observables."""
        if not self.train_files:
            raise InputError("train: expected at least one file name, got none")
        for name in ("train", "test"):
            if "" in _files(getattr(self, name)):
                raise InputError(f"{name}: expected file names, got an empty one")
        if self.fit is not None:
            check_observables("fit", self.fit)
        if not 0 <= self.test_fraction < 1:
            raise InputError(
                f"test_fraction: expected a number from 0 to below 1, got {self.test_fraction:g}"
            )
        if self.test_seed < 0:
            raise InputError(f"test_seed: expected 0 or more, got {self.test_seed}")
        self.label_keys  # noqa: B018 - refuses empty names

    def found(self, folder: str | Path = "") -> Data:
        """The same with the names of files in place of patterns.

        Args:
            folder: to which names are relative, and joined.

        Raises:
            InputError: a pattern that no file matches.
        """

        def files(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
            every = tuple(one for name in _files(names) for one in matching(name, folder))
            return every[0] if isinstance(names, str) and len(every) == 1 else every

        return replace(self, train=files(self.train), test=files(self.test))

    @property
    def label_keys(self) -> LabelKeys:
        """The names of the labels as readers take them."""
        return LabelKeys(
            self.energy_key,
            self.forces_key,
            self.stress_key,
            self.virial_key,
            self.keys,
            self.ignore,
            self.units,
        )

    @property
    def train_files(self) -> tuple[str, ...]:
        """The training files, one or many, as a tuple."""
        return _files(self.train)

    @property
    def test_files(self) -> tuple[str, ...]:
        """The test files, none, one or many, as a tuple."""
        return _files(self.test)


def _files(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


@dataclass(frozen=True)
class FitConfig(Settings):
    """Everything that determines a fit: files, and the recipe in tables of its own.

    Args:
        data: files, labels and observables.
        basis: as in `Recipe`, like all that follow.
        e0: energies of isolated atoms.
        weights: by config type.
        prior: smoothness.
        solver: of the linear problem.
        restraint: of the pair potential.
        committee: of the posterior.
        embedding: densities of a nonlinear model.
        nonlinear: how it is fitted.
        learned: radial functions that are learned.
        weighting: of each structure.
    """

    data: Data
    basis: BasisSpec = field(default_factory=BasisSpec)
    e0: dict[str, float] | None = None
    weights: dict[str, Weights] = field(default_factory=dict)
    prior: Prior = field(default_factory=Algebraic)
    solver: Solver = field(default_factory=BLR)
    restraint: Restraint = field(default_factory=Restraint)
    committee: Committee = field(default_factory=Committee)
    embedding: dict[str, Densities] = field(default_factory=dict, metadata=LATER)
    nonlinear: NewtonCG = field(default_factory=NewtonCG, metadata=LATER)
    learned: LearnedRadials | None = field(default=None, metadata=LATER)
    weighting: Weighting = field(default_factory=Uniform, metadata=LATER)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "weights", self.recipe.weights)

    @property
    def recipe(self) -> Recipe:
        """What is fitted and how."""
        own = ("observables", "tried")
        shared = {f.name: getattr(self, f.name) for f in fields(Recipe) if f.name not in own}
        if self.data.fit is None:
            return Recipe(observables=AUTOMATIC, tried=TRIED, **shared)
        return Recipe(observables=self.data.fit, **shared)

    def weights_of(self, structure: Structure) -> Weights:
        """The weights of a structure, as `Recipe.weights_of`."""
        return self.recipe.weights_of(structure)


def load_config(path: str | Path) -> FitConfig:
    """Read the TOML file of a fit.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files in it are joined to the folder of the file, and patterns
        among those of data are replaced by what matches.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    path = Path(path)
    config = from_toml(FitConfig, path)

    def beside(name: str) -> str:
        return str(path.parent / name)

    return replace(
        config,
        data=config.data.found(path.parent),
        prior=config.prior.moved(beside),
        weighting=config.weighting.moved(beside),
    )


def dump_config(config: FitConfig, folder: str | Path | None = None) -> str:
    """The TOML text that repeats a fit, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of data files are written relative to it. None:
            written as they are.

    Returns:
        TOML text; `load_config` of it, saved in `folder`, gives the same fit.
    """
    if folder is not None:
        config = _moved(config, lambda name: Path(os.path.relpath(name, folder)).as_posix())
    return to_toml(to_mapping(config))


def _moved(config: FitConfig, rename: Callable[[str], str]) -> FitConfig:
    """The same configuration with every name of a file passed through `rename`."""
    data = config.data

    def one_or_many(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return rename(names) if isinstance(names, str) else tuple(rename(name) for name in names)

    return replace(
        config,
        data=replace(data, train=one_or_many(data.train), test=one_or_many(data.test)),
        prior=config.prior.moved(rename),
        weighting=config.weighting.moved(rename),
    )
