"""ACE potentials in OpenMM: `system.addForce(create_force("model.acepot", topology))`.

Names are fetched when they are used: OpenMM-ML imports this package to look for its entry point,
and must not wait for libraries that its user may not want.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmm_ace.force import create_force
    from openmm_ace.torchcheck import TorchForceCheck, check_torchforce
    from openmm_ace.torchforce import create_torch_force

__all__ = ["TorchForceCheck", "check_torchforce", "create_force", "create_torch_force"]


def __getattr__(name: str) -> object:
    if name == "create_force":
        from openmm_ace import force

        return force.create_force
    if name == "create_torch_force":
        from openmm_ace import torchforce

        return torchforce.create_torch_force
    if name in __all__:
        from openmm_ace import torchcheck

        return getattr(torchcheck, name)
    raise AttributeError(f"module 'openmm_ace' has no attribute {name!r}")
