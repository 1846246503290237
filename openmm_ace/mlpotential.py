"""ACE potentials in OpenMM-ML: `MLPotential("acepot", modelPath="model.acepot")`.

OpenMM-ML imports this module when it is imported itself, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

if TYPE_CHECKING:
    from openmm_ace.force import Precision


class ACEPotentialFactory(MLPotentialImplFactory):  # type: ignore[misc]
    """Makes the potential that OpenMM-ML knows as "acepot"."""

    def createImpl(  # noqa: N802 - OpenMM-ML's name
        self,
        name: str,
        modelPath: str | None = None,
        threads: int | None = None,
        precision: Precision = "double",
        charge: float = 0.0,
    ) -> ACEPotentialImpl:
        """Make the potential.

        Args:
            name: "acepot".
            modelPath: path of a model file of any kind that acepot reads.
            threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.
            precision: double, mixed or single, as for `acepot.Potential`.
            charge: total charge of the atoms in e, of a model with charges.

        Raises:
            InputError: no modelPath.
        """
        from acepot.errors import InputError

        if modelPath is None:
            raise InputError(
                'MLPotential("acepot"): expected modelPath, the path of a model file, as in '
                'MLPotential("acepot", modelPath="model.acepot")'
            )
        return ACEPotentialImpl(modelPath, threads, precision, charge)


class ACEPotentialImpl(MLPotentialImpl):  # type: ignore[misc]
    """One model file for any number of Systems."""

    def __init__(
        self, path: str, threads: int | None, precision: Precision, charge: float = 0.0
    ) -> None:
        self._path = path
        self._threads = threads
        self._precision = precision
        self._charge = charge

    def addForces(  # noqa: N802 - OpenMM-ML's name
        self,
        topology: Any,
        system: Any,
        atoms: Iterable[int] | None,
        forceGroup: int,
        **args: object,
    ) -> None:
        """Add the force to a System; it is periodic if the Topology has a box.

        Args:
            topology: of the System.
            system: takes the force.
            atoms: indices of the particles the model is for; None: all.
            forceGroup: of the force.
            args: none are known.

        Raises:
            TypeError: an argument that is not known.
            AceError: as `openmm_ace.create_force`.
        """
        from openmm_ace.force import create_force

        if args:
            raise TypeError(
                f"acepot: expected no further arguments, got {', '.join(args)}; modelPath, "
                'threads and precision go to MLPotential("acepot", ...), and so does charge'
            )
        chosen = None if atoms is None else list(atoms)
        force = create_force(
            self._path,
            topology,
            atoms=chosen,
            threads=self._threads,
            precision=self._precision,
            charge=self._charge,
        )
        force.setForceGroup(forceGroup)
        system.addForce(force)

    def getMLLongRange(self) -> bool:  # noqa: N802 - OpenMM-ML's name
        """Only of a model with charges: others see no further than their cut-off."""
        import acepot

        kinds: Any = acepot.Model | acepot.ChargeModel
        return isinstance(acepot.load(self._path, kinds), acepot.ChargeModel)
