"""What a fit needs to know, as frozen data: the one TOML file of a fit.

    [data]
    train = "train.xyz"

is a complete file; everything else has a default. `dump_config` writes every value out, so
that the file kept beside a model repeats its fit with any later version.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.io.structures.labels import LabelKeys
from acepot.schema import from_mapping, to_mapping, to_toml

__all__ = [
    "Committee", "Data", "FitConfig", "PriorConfig", "Restraint", "SolverConfig", "Weights",
    "dump_config", "load_config",
]  # fmt: skip


#: Largest setting: squares of larger ones would overflow; and the smallest that may be squared.
_LARGEST, _SMALLEST = 1e50, 1e-50
#: What the native evaluator can hold beside the model.
_MEMBERS = 255


def _at_least(
    name: str, value: float, least: float = 0.0, *, above: bool = False, most: float = _LARGEST
) -> None:
    if not least <= value <= most or (above and value == least):
        wanted = f"more than {least:g}" if above else f"{least:g} or more"
        limit = f", up to {most:g}" if value > most else ""
        raise InputError(f"{name}: expected {wanted}{limit}, got {value}")


@dataclass(frozen=True)
class Data:
    """Where the structures are and what their labels are called.

    Args:
        train: file or files to fit, relative to the folder of the TOML file.
        test: file or files that are only predicted.
        energy_key: name of the total energy (eV); None: the reader looks for the usual names.
        forces_key: name of the forces (eV/Å), likewise.
        stress_key: name of the stress -W/V (eV/Å³), likewise.
        virial_key: name of the virial W (eV), likewise.
        config_type_key: name of the group that a structure belongs to.
        fit: the quantities that enter the fit; virials only when they are named here.
    """

    train: str | tuple[str, ...]
    test: str | tuple[str, ...] = ()
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    virial_key: str | None = None
    config_type_key: str = "config_type"
    fit: tuple[Literal["energy", "forces", "virial"], ...] = ("energy", "forces")

    def __post_init__(self) -> None:
        if not self.train_files:
            raise InputError("train: expected at least one file name, got none")
        for name in ("train", "test"):
            if "" in _files(getattr(self, name)):
                raise InputError(f"{name}: expected file names, got an empty one")
        if not self.fit or len(set(self.fit)) < len(self.fit):
            raise InputError(
                "fit: expected one or more of energy, forces, virial, each once, "
                f"got {list(self.fit)}"
            )

    @property
    def keys(self) -> LabelKeys:
        """The names of the labels as readers take them."""
        return LabelKeys(self.energy_key, self.forces_key, self.stress_key, self.virial_key)

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
class Weights:
    """Weights of the rows of one config type, multiplied in once when rows are assembled.

    Args:
        energy: of the energy row, which is also divided by √n (n atoms).
        forces: of each force component.
        virial: of each of six virial components, which are also divided by √n.
    """

    energy: float = 30.0
    forces: float = 1.0
    virial: float = 1.0

    def __post_init__(self) -> None:
        for name in ("energy", "forces", "virial"):
            _at_least(name, getattr(self, name))


@dataclass(frozen=True)
class PriorConfig:
    """The smoothness prior: a diagonal γ with which γ_i c_i is penalised.

    Args:
        kind: how γ grows with n and l; none is γ = 1.
        p: power of n and l (algebraic kinds).
        wl: scale of l; None: that of the kind.
        wn: scale of n; None: that of the kind.
    """

    kind: Literal[
        "none", "algebraic", "exponential", "gaussian", "algebraic_ace1", "algebraic_06"
    ] = "algebraic"
    p: float = 4.0
    wl: float | None = None
    wn: float | None = None

    def __post_init__(self) -> None:
        for name in ("p", "wl", "wn"):
            if (value := getattr(self, name)) is not None:
                _at_least(name, value, above=True)


@dataclass(frozen=True)
class SolverConfig:
    """How the coefficients are found.

    Args:
        kind: qr: least squares; blr: Bayesian linear regression by maximum evidence.
        damping: √λ that multiplies the prior's γ (qr); 0: plain least squares, no prior.
        tolerance: pivots of the column-scaled system below this part of the largest are dropped
            (qr). A larger value gives smaller coefficients and a larger residual.
        floor: smallest standard deviation of noise and prior (blr).
    """

    kind: Literal["qr", "blr"] = "blr"
    damping: float = 0.0
    tolerance: float = 1e-15
    floor: float = 1e-4

    def __post_init__(self) -> None:
        _at_least("damping", self.damping)
        _at_least("tolerance", self.tolerance)
        _at_least("floor", self.floor, above=True)
        _at_least("floor", self.floor, _SMALLEST)


@dataclass(frozen=True)
class Restraint:
    """Artificial dimer energies that make the pair potential repulsive at short distance.

    Args:
        weight: of each dimer's row; 0 switches the restraint off.
        distance: of the two atoms in Å.
    """

    weight: float = 0.01
    distance: float = 0.01

    def __post_init__(self) -> None:
        _at_least("weight", self.weight)
        _at_least("distance", self.distance, above=True)


@dataclass(frozen=True)
class Committee:
    """Models drawn from the posterior to measure the uncertainty.

    Args:
        size: how many are stored with the model, up to 255; 0: none.
        seed: of the generator that draws them.
    """

    size: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("size", self.size, most=_MEMBERS)
        _at_least("seed", self.seed)


@dataclass(frozen=True)
class FitConfig:
    """Everything that determines a fit.

    Args:
        data: files and labels.
        basis: the basis functions.
        e0: energy of each isolated atom in eV by symbol; None: from the isolated atoms in the
            training data, else by least squares.
        weights: by config type; "default" (30, 1, 1 if absent) holds for all others.
        prior: smoothness.
        solver: of the linear problem.
        restraint: of the pair potential at short distance, where its envelope is repulsive.
        committee: of the posterior.
    """

    data: Data
    basis: BasisSpec = field(default_factory=BasisSpec)
    e0: dict[str, float] | None = None
    weights: dict[str, Weights] = field(default_factory=dict)
    prior: PriorConfig = field(default_factory=PriorConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    restraint: Restraint = field(default_factory=Restraint)
    committee: Committee = field(default_factory=Committee)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", {"default": Weights(), **self.weights})

    def weights_of(self, config_type: str) -> Weights:
        """The weights that hold for a config type: its own, else the default."""
        return self.weights.get(config_type, self.weights["default"])


def load_config(path: str | Path) -> FitConfig:
    """Read the TOML file of a fit.

    Args:
        path: of the file.

    Returns:
        The configuration; names of data files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode()
        config = from_mapping(FitConfig, tomllib.loads(text), where=str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, got {error}") from error
    except tomllib.TOMLDecodeError as error:
        end = f"at line {text.count(chr(10)) + 1}, the end of the file"
        message = str(error).replace("at end of document", end)
        raise InputError(f"{path}: not valid TOML: {message}") from error
    return _moved(config, lambda name: str(path.parent / name))


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
    """The same configuration with every name of a data file passed through `rename`."""
    data = config.data

    def one_or_many(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return rename(names) if isinstance(names, str) else tuple(rename(name) for name in names)

    return replace(
        config, data=replace(data, train=one_or_many(data.train), test=one_or_many(data.test))
    )
