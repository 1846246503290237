"""Which particles of an OpenMM System a model is for, and whether they repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acepot.errors import InputError, MissingDependency

try:
    from openmm import app
except ImportError as error:
    raise MissingDependency("openmm_ace needs OpenMM: pip install acepot[openmm]") from error


def atomic_numbers(
    elements: app.Topology | Sequence[str | int], atoms: Sequence[int] | None
) -> list[int]:
    """Atomic numbers of the chosen particles.

    Args:
        elements: the Topology, or symbols or atomic numbers of all particles.
        atoms: indices of the chosen ones; None: all.

    Raises:
        InputError: a particle without an element, an unknown symbol, or wrong indices.
    """
    of_all: Sequence[Any]
    if isinstance(elements, app.Topology):
        of_all = [atom.element for atom in elements.atoms()]
    else:
        of_all = list(elements)
    if atoms is None:
        atoms = range(len(of_all))
    if len(atoms) == 0:
        raise InputError("atoms: expected at least one particle, got none")
    if outside := [i for i in atoms if not 0 <= i < len(of_all)]:
        raise InputError(f"atoms: expected indices 0 to {len(of_all) - 1}, got {outside[0]}")
    if len(set(atoms)) < len(atoms):
        raise InputError("atoms: expected every index once, got some twice")
    return [_number(of_all[i], i) for i in atoms]


def _number(element: Any, particle: int) -> int:
    if isinstance(element, str):
        try:
            element = app.Element.getBySymbol(element.strip())
        except KeyError:
            raise InputError(
                f"elements: particle {particle}: expected a chemical symbol such as Si, "
                f"got {element!r}"
            ) from None
    if isinstance(element, app.Element):
        return int(element.atomic_number)
    if element is None:
        raise InputError(
            f"elements: particle {particle} has no element (a virtual site?); choose the "
            "particles of the model with atoms="
        )
    return int(element)


def is_periodic(elements: object, wanted: bool | None) -> bool:
    """Whether the force is periodic; OpenMM itself sees to it that boxes are reduced.

    Args:
        elements: the Topology, or elements without one.
        wanted: what the user says; None: as the Topology.

    Raises:
        InputError: nobody says, or a Topology without a box for a periodic force.
    """
    if not isinstance(elements, app.Topology):
        if wanted is None:
            raise InputError("periodic: expected True or False when elements are given as a list")
        return bool(wanted)
    has_box = elements.getPeriodicBoxVectors() is not None
    if wanted and not has_box:
        raise InputError(
            "periodic: expected a Topology with box vectors; give it some with "
            "topology.setPeriodicBoxVectors, or choose periodic=False"
        )
    return has_box if wanted is None else bool(wanted)


def periodic_directions(
    elements: object, wanted: bool | Sequence[bool] | None
) -> bool | tuple[bool, ...]:
    """Along which vectors of the box atoms repeat: one answer for all three, or three.

    Args:
        elements: as for `is_periodic`.
        wanted: likewise, or three answers.

    Raises:
        InputError: as `is_periodic`, or another number of answers.
    """
    if not isinstance(wanted, Sequence):
        return is_periodic(elements, wanted)
    each = tuple(map(bool, wanted))
    if len(each) != 3:
        raise InputError(f"periodic: expected one answer or three, got {len(each)}")
    is_periodic(elements, any(each))
    return each[0] if len(set(each)) == 1 else each
