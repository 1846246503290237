"""What a report of the chain is made of: its one TOML file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.properties.settings import STEPS
from acepot.schema import Settings

__all__ = [
    "ChainSettings", "FrictionLevel", "HamiltonianLevel", "PotentialLevel", "ReferenceLevel",
    "dump_config", "load_config",
]  # fmt: skip


@dataclass(frozen=True)
class ReferenceLevel(Settings):
    """What is known of the calculations that all else was fitted to.

    Args:
        name: of the method, such as DFT (PBE).
        values: TOML file of its own values of the quantities, as of `acepot properties
            --reference`; "": there are none.
        errors: TOML file of the same form with one standard deviation of each quantity: of
            convergence, or of the method against experiment; "": none is stated.
    """

    name: str = "reference"
    values: str = ""
    errors: str = ""


@dataclass(frozen=True)
class PotentialLevel(Settings):
    """A fitted potential.

    Args:
        model: its file.
        posterior: of its coefficients, as a fit with committee.calibrate leaves it.
        test: files of structures with labels that were not fitted.
        skip: properties that are not computed.
        atoms: sizes of the cells of point defects.
        members: draws from the posterior.
        seed: of these draws.
    """

    model: str
    posterior: str
    test: tuple[str, ...]
    skip: tuple[str, ...] = ("phonons", "expansion", "interstitials")
    atoms: tuple[int, ...] = (64,)
    members: int = 20
    seed: int = 0

    def check(self) -> None:
        """There must be something to be judged by."""
        if not self.test:
            raise InputError("test: expected one file or more, got none")
        if unknown := [one for one in self.skip if one not in STEPS]:
            raise InputError(f"skip: expected some of {', '.join(STEPS)}, got {unknown[0]!r}")
        if not 2 <= self.members <= 1000:
            raise InputError(f"members: expected 2 to 1000, got {self.members}")


@dataclass(frozen=True)
class HamiltonianLevel(Settings):
    """A fitted Hamiltonian.

    Args:
        model: its file, with members of a committee.
        test: files or folders with H and S that were not fitted, two structures or more.
    """

    model: str
    test: tuple[str, ...]

    def check(self) -> None:
        """There must be something to be judged by."""
        if not self.test:
            raise InputError("test: expected one file or more, got none")


@dataclass(frozen=True)
class FrictionLevel(Settings):
    """A fitted model of friction.

    Args:
        model: its file.
        test: files of friction tensors that were not fitted, two structures or more.
        unit: of the numbers in these files, in amu/fs.
        temperature: K at which kT/γ is given.
    """

    model: str
    test: tuple[str, ...]
    unit: float = 1.0
    temperature: float = 300.0

    def check(self) -> None:
        """There must be something to be judged by."""
        if not self.test:
            raise InputError("test: expected one file or more, got none")
        for name in ("unit", "temperature"):
            if not 0.0 < (value := getattr(self, name)) <= 1e9:
                raise InputError(f"{name}: expected more than 0, up to 1e9, got {value:g}")


@dataclass(frozen=True)
class ChainSettings(Settings):
    """The levels that are there, and the crystal that is asked for.

    Args:
        structure: a crystal by name, such as Si:diamond, or a file. Without a potential its
            lattice constant must be given: Al:fcc:4.05.
        reference: what all was fitted to.
        potential: energies, forces and what follows from them; None: there is none.
        hamiltonian: levels of electrons; None: there is none.
        friction: None: there is none.
    """

    structure: str
    reference: ReferenceLevel = field(default_factory=ReferenceLevel)
    potential: PotentialLevel | None = None
    hamiltonian: HamiltonianLevel | None = None
    friction: FrictionLevel | None = None

    def check(self) -> None:
        """There must be a level."""
        if all(one is None for one in (self.potential, self.hamiltonian, self.friction)):
            raise InputError(
                "expected a table potential, hamiltonian or friction, one or more, got none"
            )


def load_config(path: str | Path) -> ChainSettings:
    """Read the TOML file; names of files are joined to its folder.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    return loaded(ChainSettings, path, _renamed)


def dump_config(config: ChainSettings, folder: str | Path) -> str:
    """The TOML text that repeats a report, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: ChainSettings, name: Callable[[str], str]) -> ChainSettings:
    def there(text: str) -> str:
        return name(text) if text else text

    reference, structure = config.reference, config.structure
    potential, hamiltonian, friction = config.potential, config.hamiltonian, config.friction
    if potential is not None:
        potential = replace(
            potential,
            model=there(potential.model),
            posterior=there(potential.posterior),
            test=tuple(map(there, potential.test)),
        )
    if hamiltonian is not None:
        hamiltonian = replace(
            hamiltonian, model=there(hamiltonian.model), test=tuple(map(there, hamiltonian.test))
        )
    if friction is not None:
        friction = replace(
            friction, model=there(friction.model), test=tuple(map(there, friction.test))
        )
    return replace(
        config,
        structure=structure if ":" in structure else there(structure),
        reference=replace(
            reference, values=there(reference.values), errors=there(reference.errors)
        ),
        potential=potential,
        hamiltonian=hamiltonian,
        friction=friction,
    )
