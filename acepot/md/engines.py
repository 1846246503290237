"""Engines by name: ours, and those that other packages register as entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from acepot.errors import InputError, MissingDependency
from acepot.md.engine import EngineKind

__all__ = ["GROUP", "OWN", "engine", "names"]

#: Packages with an engine of their own name it in this group: `name = "module:EngineKind"`.
GROUP = "acepot.engines"
#: Those of this repository, which are there in a source folder that was never installed too.
OWN = (
    EntryPoint("ase", "ase_ace.dynamics:ASE_ENGINE", GROUP),
    EntryPoint("openmm", "openmm_ace.dynamics:OPENMM_ENGINE", GROUP),
    EntryPoint("ipi", "ipi_driver.dynamics:IPI_ENGINE", GROUP),
    EntryPoint("lammps", "lammps_ace.dynamics:LAMMPS_ENGINE", GROUP),
)


def names() -> tuple[str, ...]:
    """Names of all engines: ours first."""
    return tuple(dict.fromkeys(point.name for point in _points()))


def engine(name: str) -> EngineKind:
    """An engine; its module, and with it the host, is imported now.

    Args:
        name: of the engine.

    Raises:
        InputError: there is none of this name, there are two, or it is no EngineKind.
        MissingDependency: the host is not installed; the message says how to install it.
    """
    found = {point.value: point for point in _points() if point.name == name}
    if not found:
        raise InputError(f"engine: expected one of {', '.join(names())}, got {name!r}")
    if len(found) > 1:
        raise InputError(f"engine {name!r}: expected one, got {' and '.join(found)}; uninstall one")
    ((value, point),) = found.items()
    try:
        kind = point.load()
    except MissingDependency:
        raise
    except (ImportError, AttributeError) as error:
        package = f": pip install {point.dist.name}" if point.dist else ""
        raise MissingDependency(
            f"engine {name!r} ({value}) cannot be imported: {error}. Install what it needs{package}"
        ) from error
    if not isinstance(kind, EngineKind):
        raise InputError(f"engine {name!r}: expected {value} to be an EngineKind, got {kind!r}")
    return kind


def _points() -> tuple[EntryPoint, ...]:
    return (*OWN, *entry_points(group=GROUP))
