"""What a study of defects needs to know: its one TOML file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from acepot.basis.spec import BasisSpec
from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.fitting.priors import NoPrior, Prior
from acepot.fitting.solvers import QR, Solver
from acepot.hal.reference.settings import AseReference
from acepot.schema import Settings

__all__ = ["DEFECTS", "DefectSettings", "FitSettings", "dump_config", "load_config"]

#: Defects by name.
DEFECTS = ("vacancy", "divacancy", "dumbbell 100", "dumbbell 110", "dumbbell 111")


@dataclass(frozen=True)
class FitSettings(Settings):
    """How models are fitted.

    Args:
        basis: the basis functions.
        solver: of the linear problem; blr is no good where columns nearly depend on each other.
        prior: smoothness.
        energy: weight of total energies.
        forces: of forces.
        formation: of formation energies, rows of their own.
        e0: energy of the isolated atom in eV by symbol; None: that of an atom of the crystal.
    """

    basis: BasisSpec = field(default_factory=BasisSpec)
    solver: Solver = field(default_factory=lambda: QR(damping=1e-7))
    prior: Prior = field(default_factory=NoPrior)
    energy: float = 30.0
    forces: float = 1.0
    formation: float = 30.0
    e0: dict[str, float] | None = None

    def check(self) -> None:
        """Weights may not be negative."""
        for name in ("energy", "forces", "formation"):
            if not 0.0 <= (value := getattr(self, name)) <= 1e9:
                raise InputError(f"{name}: expected 0 to 1e9, got {value:g}")


@dataclass(frozen=True)
class DefectSettings(Settings):
    """A study.

    Args:
        crystal: a file, or a crystal by name such as W:bcc:3.165, with its lattice constant.
        defects: which of those there are by name.
        sizes: of the training cells, in cells of the crystal along each direction.
        size: of the large cell in which the models are tried.
        rattles: how many displaced copies of each relaxed cell are fitted, one or several numbers.
        rattle: smallest and largest standard deviation of their displacements in Å.
        force_constants: weights of the force constants of the perfect crystal; 0: none.
        constants_size: of the cell of these force constants.
        displacement: of their finite differences in Å; rows are made by the same.
        force: largest force in eV/Å of a cell at rest.
        target: relative error of the geometry that is asked for.
        seed: of the displacements.
        model: file of a model that is the reference; None: the calculator is.
        reference: a calculator of ASE.
        fit: how models are fitted.
    """

    crystal: str
    defects: tuple[str, ...] = ("vacancy",)
    sizes: tuple[int, ...] = (2, 3, 4)
    size: int = 8
    rattles: tuple[int, ...] = (4,)
    rattle: tuple[float, float] = (0.005, 0.03)
    force_constants: tuple[float, ...] = (0.0, 1.0)
    constants_size: int = 4
    displacement: float = 0.01
    force: float = 1e-5
    target: float = 0.01
    seed: int = 0
    model: str | None = None
    reference: AseReference | None = None
    fit: FitSettings = field(default_factory=FitSettings)

    def check(self) -> None:
        """Refuse what cannot be studied."""
        if unknown := [one for one in self.defects if one not in DEFECTS]:
            raise InputError(f"defects: expected some of {', '.join(DEFECTS)}, got {unknown[0]!r}")
        for name in ("defects", "sizes", "rattles", "force_constants"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InputError(f"{name}: expected one or more, each once, got {list(values)}")
        for name, least, most in (
            ("sizes", 1, 50), ("rattles", 1, 1000), ("force_constants", 0.0, 1e9),
        ):  # fmt: skip
            for value in getattr(self, name):
                if not least <= value <= most:
                    raise InputError(f"{name}: expected {least:g} to {most:g}, got {value:g}")
        if not max(self.sizes) <= self.size <= 50:
            raise InputError(f"size: expected {max(self.sizes)} (of sizes) to 50, got {self.size}")
        if not 2 <= self.constants_size <= 50:
            raise InputError(f"constants_size: expected 2 to 50, got {self.constants_size}")
        low, high = self.rattle
        if not 0.0 < low <= high <= 0.5:
            raise InputError(f"rattle: expected two lengths up to 0.5 Å, got {low:g}, {high:g}")
        for name, most in (("displacement", 0.2), ("force", 0.1), ("target", 1.0)):
            if not 0.0 < (value := getattr(self, name)) <= most:
                raise InputError(f"{name}: expected more than 0, up to {most:g}, got {value:g}")
        if self.model is not None and self.reference is not None:
            raise InputError("model: expected none beside a table reference")


def load_config(path: str | Path) -> DefectSettings:
    """Read the TOML file of a study; names of files are joined to its folder.

    Raises:
        InputError: the file is missing, no TOML, or holds an unknown key or a wrong value.
    """
    return loaded(DefectSettings, path, _renamed)


def dump_config(config: DefectSettings, folder: Path) -> str:
    """The TOML text that repeats a study, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: DefectSettings, name: Callable[[str], str]) -> DefectSettings:
    crystal = config.crystal if ":" in config.crystal else name(config.crystal)
    model = None if config.model is None else name(config.model)
    reference = config.reference
    if reference is not None:
        files = {key: name(value) for key, value in reference.files.items()}
        reference = replace(reference, files=files)
    return replace(config, crystal=crystal, model=model, reference=reference)
