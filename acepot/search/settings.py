"""What a search is told: the TOML file of a fit, with [search] and [variant.NAME] beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acepot.basis.choices import MAX_CUTOFF, MAX_ORDER, MIN_CUTOFF
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.fitting.config import FitConfig, load_config
from acepot.fitting.recipe import Recipe
from acepot.schema import from_mapping, to_mapping, to_toml
from acepot.search.outcome import Aim

__all__ = ["SearchConfig", "SearchSettings", "load_search"]

#: Tables of a fit that may differ between variants.
_VARIED = (
    "basis", "prior", "solver", "weights", "weighting", "restraint", "embedding", "nonlinear",
    "learned",
)  # fmt: skip
#: The variant with the settings of the fit itself.
PLAIN = "plain"


@dataclass(frozen=True)
class SearchSettings(Aim):
    """Which candidates there are, and how they are compared.

    Args:
        by: energies, forces, or both: the geometric mean of the two errors.
        measure: mean absolute or root-mean-square errors.
        orders: correlation orders.
        reaches: cut-offs in units of r0, where none are given in Å.
        cutoffs: cut-offs in Å of all pairs of elements, instead.
        functions: how many functions a candidate may have, each a size that is tried.
        folds: parts of the data that are left out in turn.
        slack: candidates grow while their errors are at most so many times those of the best that
            costs as much.
    """

    orders: tuple[int, ...] = (2, 3, 4, 5)
    reaches: tuple[float, ...] = (1.75, 2.0, 2.25, 2.5)
    cutoffs: tuple[float, ...] = ()
    functions: tuple[int, ...] = (40, 80, 160, 320, 640, 1280)
    folds: int = 4
    slack: float = 1.25

    def check(self) -> None:
        """Refuse what no candidate could have."""
        _each("orders", self.orders, 1, MAX_ORDER)
        _each("functions", self.functions, 1)
        if self.cutoffs:
            _each("cutoffs", self.cutoffs, MIN_CUTOFF, MAX_CUTOFF)
        else:
            _each("reaches", self.reaches, 1.0)
        at_least("folds", self.folds, 2)
        at_least("slack", self.slack, 1.0)


def _each(name: str, values: Iterable[float], least: float, most: float = 1e6) -> None:
    values = tuple(values)
    if not values:
        raise InputError(f"{name}: expected one or more, got none")
    for value in values:
        at_least(name, value, least, most=most)


@dataclass(frozen=True)
class SearchConfig:
    """A fit, and what of it is searched.

    Args:
        fit: files, and settings that all candidates have unless a variant says otherwise.
        search: which candidates there are.
        variants: tables of a fit that differ, by the name of the variant.
    """

    fit: FitConfig
    search: SearchSettings
    variants: Mapping[str, Mapping[str, Any]]

    def recipes(self) -> dict[str, Recipe]:
        """The recipe of every variant, the plain one first.

        Raises:
            InputError: a variant is none; the message names its key.
        """
        found = {PLAIN: self.fit.recipe}
        table = to_mapping(self.fit)
        for name, own in self.variants.items():
            where = f"variant.{name}"
            if strange := sorted(set(own) - set(_VARIED)):
                raise InputError(f"{where}: expected {', '.join(_VARIED)}, got {strange[0]}")
            if name == PLAIN:
                raise InputError(f"{where}: this is the name of the fit as it is; choose another")
            found[name] = from_mapping(FitConfig, _merged(table, own), where).recipe
        return found

    def text(self, fit: str) -> str:
        """Everything as TOML, every default written out.

        Args:
            fit: the part of it that is the fit's own.
        """
        tables: dict[str, Any] = {"search": to_mapping(self.search)}
        if self.variants:
            tables["variant"] = dict(self.variants)
        return f"{fit}\n{to_toml(tables)}"


def load_search(path: str | Path) -> SearchConfig:
    """Read the TOML file of a search: that of a fit with `[search]` and `[variant.NAME]` beside it.

    Args:
        path: of the file; one of a fit alone is searched with the defaults.

    Returns:
        The configuration; names of files in it are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the key.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        load_config(path)  # says what is wrong with the file
        raise
    own = {name: table.pop(name, {}) for name in ("search", "variant")}
    search = from_mapping(SearchSettings, own["search"], f"{path}: search")
    variants = own["variant"]
    if not (isinstance(variants, dict) and all(isinstance(v, dict) for v in variants.values())):
        raise InputError(f"{path}: variant: expected tables, [variant.NAME]")
    fit = located(from_mapping(FitConfig, table, str(path)), path.parent)
    return SearchConfig(fit, search, variants)


def located(config: FitConfig, folder: Path) -> FitConfig:
    """The same fit, names of files in it joined to a folder, patterns replaced by what matches."""
    prior = config.prior.moved(lambda name: str(folder / name))
    return replace(config, data=config.data.found(folder), prior=prior)


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A table with changes; tables within it are changed likewise, other values replaced."""
    found = dict(table)
    for name, value in changes.items():
        inner = found.get(name)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            found[name] = _merged(inner, value)
        else:
            found[name] = value
    return found
