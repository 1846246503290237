"""`chain`: one report over the levels that are there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from acepot.chain.friction import friction_level
from acepot.chain.hamiltonian import hamiltonian_level
from acepot.chain.level import Contribution, Level, Place, Quantity, place
from acepot.chain.potential import potential_level
from acepot.chain.report import written
from acepot.chain.settings import ChainSettings, ReferenceLevel, dump_config
from acepot.io.files import replaced
from acepot.properties.values import read_references
from acepot.run.folder import digest
from acepot.run.lock import acquired

__all__ = ["SETTINGS", "chain"]

SETTINGS = "chain.toml"


def chain(
    config: ChainSettings, folder: str | Path, *, say: Callable[[str], None]
) -> tuple[list[Level], list[Quantity]]:
    """Judge every level on what it has not seen, and propagate to the quantities of a crystal.

    Leaves chain.html, chain.json, chain.toml and a file for each level. Properties of the potential
    go on where they were stopped.

    Args:
        config: of the report.
        folder: for the files.
        say: takes lines for people.

    Returns:
        The levels, the lowest first, and the quantities.

    Raises:
        InputError: files that cannot be read, or too little to be judged by.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; the same call goes on.
    """
    home = Path(folder)
    lock = acquired(home, say)
    try:
        levels: list[Level] = []
        where: Place | None = None
        if config.potential is not None:
            level, where = potential_level(config.potential, config.structure, home, say)
            levels.append(level)
        if where is None:
            where = place(config.structure)
        if config.hamiltonian is not None:
            levels.append(hamiltonian_level(config.hamiltonian, where, home, say))
        if config.friction is not None:
            levels.append(friction_level(config.friction, where, home, say))
        every = [one for level in levels for one in level.quantities]
        base, quantities = _reference(config.reference, config.structure, every)
        levels = [base, *levels]
        with replaced(home / SETTINGS) as file:
            file.write(dump_config(config, home.resolve()))
        written(levels, quantities, config.reference.name, config.structure, home)
    finally:
        os.close(lock)
    return levels, quantities


def _reference(
    settings: ReferenceLevel, structure: str, quantities: list[Quantity]
) -> tuple[Level, list[Quantity]]:
    """The quantities with the reference's values, and with its own errors where they are stated."""
    named = [name for name in (settings.values, settings.errors) if name]
    values, errors = (
        read_references(name) if name else read_references(None)
        for name in (settings.values, settings.errors)
    )
    made, notes = [], []
    for one in quantities:
        sigma = errors.of(structure, one.name)
        parts = one.contributions
        if sigma is not None:
            key = f"structures.{structure}.{one.name}"
            parts = (
                Contribution("reference", sigma, "as stated", settings.errors, key), *parts,
            )  # fmt: skip
        known = values.of(structure, one.name)
        made.append(replace(one, contributions=parts, reference=known))
    names = [one.name for one in quantities]
    for what, table in (("values", values), ("errors", errors)):
        if unused := table.unused(structure, names):
            notes.append(f"reference.{what} of what is not computed: {', '.join(unused)}.")
    files = {name: digest(name) for name in named}
    return Level("reference", files, notes=tuple(notes)), made
