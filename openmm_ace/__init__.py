"""ACE potentials in OpenMM: `system.addForce(create_force("model.acepot", topology))`.

The name is fetched when it is used: OpenMM-ML imports this package to look for its entry point,
and must not wait for a library that its user may not want.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmm_ace.force import create_force

__all__ = ["create_force"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'openmm_ace' has no attribute {name!r}")
    from openmm_ace import force

    return getattr(force, name)
