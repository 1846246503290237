"""Labels: which keys of a data set hold energies, forces and virials, and how many were found.

Units and signs. Energies in eV, forces in eV/Å. A *virial* is W = -dE/dε in eV; a *stress*
is ASE's, σ = +(1/V) dE/dε in eV/Å³, so W = -V σ. Both are given as 9 numbers (3x3, row by
row) or as 6 numbers in the order xx yy zz yz xz xy, and both describe the same label.

A key is found by name when the word energy, force(s), stress or virial(s) begins or ends it
(joined by `_`, `-`, `.` or a blank, in any case): energy, dft_energy, Energy, forces_pbe.
REF_energy, REF_forces, REF_stress and REF_virial(s) win over all others, and free_energy
counts only where there is no other energy. Names that say another quantity or a unit do not
count (kinetic_energy, energy_per_atom, stress_weight, virial_kbar, ...): see `NOT_LABELS`.
Keys are chosen once per file, from all its frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from acepot.errors import InputError
from acepot.io.structures.scales import OURS, Scale, scale

Kind = Literal["energy", "forces", "stress", "virial"]

#: The key that means "the results of the calculator attached to an ASE Atoms object".
CALCULATOR = "calculator"
#: The words that make a key a label.
WORDS: dict[Kind, frozenset[str]] = {
    "energy": frozenset({"energy"}),
    "forces": frozenset({"force", "forces"}),
    "stress": frozenset({"stress"}),
    "virial": frozenset({"virial", "virials"}),
}
#: A key with one of these words in it is another quantity, a setting, a prediction of this
#: package or in a unit of its own; it is a label only when it is asked for.
NOT_LABELS = frozenset(
    """per atom atoms atomic peratom local site pair kinetic kin ke thermal electronic nuclear
    band bandgap fermi exchange correlation xc hartree coulomb electrostatic dispersion vdw
    binding cohesive formation atomization interaction adsorption surface ionization excitation
    barrier activation vibrational zero point zpe relative isolated hull above
    cut cutoff off tol tolerance threshold constant constants has is mask flag
    delta diff difference shift offset baseline sigma std stdev var variance err error
    uncertainty mae rmse weight weights max min mean norm magnitude component components
    acepot unit units ev mev kev ha ry rydberg kcal kj mol kcalmol au bohr pa mpa gpa bar kbar
    ang angstrom a3 ang3 nm""".split()
)
#: Keys of one label word and these only are labels whatever they hold: a bad value is an
#: error. Other keys count only where their value has the shape of the label.
_SURE = frozenset({"ref", "dft", "gap"})


@lru_cache(maxsize=4096)
def rank(kind: Kind, key: str) -> int | None:
    """How strongly a key's name says that it holds a kind of label.

    Args:
        kind: "energy", "forces", "stress" or "virial".
        key: the name in the file.

    Returns:
        0 for REF_ keys, 1 for other labels, 2 for free energies; None for no label.
    """
    words = _words(key)
    if not ({words[0], words[-1]} & WORDS[kind]) or NOT_LABELS.intersection(words):
        return None
    if any(set(words) & WORDS[other] for other in WORDS if other != kind):
        return None
    if words[0] == "ref" and len(words) == 2:
        return 0
    return 2 if "free" in words else 1


@lru_cache(maxsize=4096)
def is_sure(kind: Kind, key: str) -> bool:
    """Whether a key is a label of this kind by its name alone, whatever its value is."""
    words = set(_words(key))
    return rank(kind, key) is not None and words - WORDS[kind] <= _SURE


def _words(key: str) -> list[str]:
    return re.split(r"[_\-. ]+", key.lower())


class KeysWanted(InputError):  # noqa: N818 - reads as the thing that is wanted
    """The keys of labels are in doubt, and must be named.

    Args:
        what: which, where and why.
        keys: kinds of labels and a key of each that could be named.
        either: whether one of them is enough.
    """

    def __init__(self, what: str, keys: Sequence[tuple[str, str]], *, either: bool = False) -> None:
        self.what, self.keys, self.either = what, tuple(keys), either
        named = (" or " if either else ", ").join(f'{kind}_key = "{key}"' for kind, key in keys)
        super().__init__(f"{what}, in a TOML file [data] {named}")

    def on_command_line(self) -> InputError:
        """The same, with the option that names keys."""
        joint = " or --keys " if self.either else ","
        named = joint.join(f"{kind}={key}" for kind, key in self.keys)
        return InputError(f"{self.what}: --keys {named}")


@dataclass(frozen=True)
class LabelKeys:
    """The keys that hold the labels; None means: found by name (see the module's text).

    Args:
        energy: key of the total energy in eV.
        forces: per-atom column of the forces in eV/Å.
        stress: key of the stress +(1/V) dE/dε in eV/Å³.
        virial: key of the virial W = -dE/dε in eV. Where both keys are given, the stress
            serves the frames that have no virial.
        others: keys of further labels by name, of structures or of atoms, which are never
            looked for; "charge" is the total charge in e.
        ignore: kinds of labels that are left out, some of energy, forces, stress and virial.
        units: of "energy", "forces", "stress", "virial" and "positions" (and the cell) where they
            are not eV and Å, with a minus in front where the sign is the other one: "Ha/Bohr",
            "-bar" (see `acepot.io.structures.scales`).

    Raises:
        InputError: a key that is not a non-empty string, an unknown kind or unit.
    """

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    others: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = {f"{name}_key": getattr(self, name) for name in WORDS}
        given |= {f"keys.{name}": key for name, key in self.others.items()}
        for name, key in given.items():
            if key is not None and (not isinstance(key, str) or not key):
                raise InputError(f"{name}: expected the name of a key, got {key!r}")
        if twice := set(self.others).intersection(WORDS):
            name = min(twice)
            raise InputError(f"keys.{name}: {name}_key names this label")
        for name in self.ignore:
            if name not in WORDS:
                raise InputError(f"ignore: expected some of {', '.join(WORDS)}, got {name!r}")
            if getattr(self, name) is not None:
                raise InputError(f"ignore: {name} is left out, yet {name}_key names its key")
        for name, unit in self.units.items():
            scale(name, unit)

    def scale(self, quantity: str) -> Scale:
        """What the numbers of a kind of label, or of positions, are multiplied by."""
        return scale(quantity, self.units[quantity]) if quantity in self.units else OURS


#: The default: every label is found by name.
BY_NAME = LabelKeys()


@dataclass(frozen=True)
class LabelCount:
    """What was found in a file; `str` gives the line that is printed for every file.

    Args:
        path: the file, or a word for a list of Atoms.
        frames: number of structures.
        atoms: number of atoms in all of them.
        energies: number of structures with an energy.
        forces: number of structures with forces.
        virials: number of structures with a virial (from a virial or a stress).
        components: number of force components, 3 per atom with forces.
        energy_keys: keys the energies came from.
        forces_keys: columns the forces came from.
        virial_keys: keys the virials came from.
        info: every per-structure key there is.
        columns: every per-atom column there is.
        others: number of structures with a further label, by its name, and its key.
        passed_over: why stresses and virials that are there are no labels, and of how many
            structures.
        notes: what is doubtful about the keys, a sentence each.
    """

    path: str
    frames: int
    atoms: int
    energies: int
    forces: int
    virials: int
    components: int
    energy_keys: tuple[str, ...]
    forces_keys: tuple[str, ...]
    virial_keys: tuple[str, ...]
    info: tuple[str, ...]
    columns: tuple[str, ...]
    others: tuple[tuple[str, int, str], ...] = ()
    passed_over: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = []
        for number, one, many, keys in (
            (self.energies, "energy", "energies", self.energy_keys),
            (self.forces, "forces", "forces", self.forces_keys),
            (self.virials, "virial", "virials", self.virial_keys),
        ):
            source = f" ({', '.join(keys)})" if number else ""
            found.append(f"{number} {one if number == 1 else many}{source}")
        found[-1] += "".join(f", {n} passed over ({why})" for why, n in self.passed_over)
        found += [f"{number} {name} ({key})" for name, number, key in self.others]
        structures = f"{self.frames} structure{'s' * (self.frames != 1)}"
        atoms = f"{self.atoms} atom{'s' * (self.atoms != 1)}"
        return f"{Path(self.path).name}: {structures}, {atoms}; {', '.join(found)}"


def require_labels(
    count: LabelCount, wanted: Iterable[str] = ("energy", "forces", "virial")
) -> None:
    """Check that a file holds at least one label of the wanted kinds.

    Args:
        count: what was found in the file.
        wanted: some of "energy", "forces", "virial".

    Raises:
        InputError: none was found; the message lists the keys that are there.
    """
    numbers = {"energy": count.energies, "forces": count.forces, "virial": count.virials}
    wanted = tuple(wanted)
    for kind in wanted:
        if kind not in numbers:
            raise InputError(f"wanted: expected some of {', '.join(numbers)}, got {kind!r}")
    if not any(numbers[kind] for kind in wanted):
        raise no_labels(count, wanted)


def no_labels(count: LabelCount, wanted: Iterable[str]) -> InputError:
    """The error for a file without any of the wanted labels; it lists the keys that are there."""
    wanted = tuple(wanted)
    named = [kind for kind in wanted if kind in WORDS] or ["energy"]
    return KeysWanted(
        f"{count.path}: expected labels ({', '.join(wanted)}), found none; "
        f"{list_keys(count.info, count.columns)}; name the one to use",
        [(named[0], "...")],
    )


def list_keys(info: Iterable[str], columns: Iterable[str]) -> str:
    """The keys of a file in words, for messages."""
    return (
        f"its per-structure keys are {', '.join(info) or 'none'}, "
        f"its per-atom columns are {', '.join(columns) or 'none'}"
    )
