"""An ACE model as an OpenMM PythonForce, on the native evaluator or on torch.

OpenMM's units are nm and kJ/mol, its cells lower triangular; positions may lie anywhere. Its
Monte Carlo barostats need no virial.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import acepot
from acepot import ChargeModel, Model, Potential
from acepot.errors import InputError, MissingDependency, ModelFileError
from acepot.units import OPENMM
from openmm_ace.particles import atomic_numbers, periodic_directions

_INSTALL = "openmm_ace needs OpenMM 8.6 or newer: pip install acepot[openmm]"
try:
    import openmm
    from openmm import app
except ImportError as error:
    raise MissingDependency(_INSTALL) from error
if not hasattr(getattr(openmm, "PythonForce", None), "setParticles"):
    raise MissingDependency(f"{_INSTALL} (this is {openmm.__version__})")

_LOG = logging.getLogger(__name__)
_ENERGY, _FORCE = 1.0 / OPENMM.energy, 1.0 / OPENMM.force
_NO_CELL = np.zeros((3, 3))

Backend = Literal["native", "torch"]
Precision = Literal["double", "mixed", "single"]


def create_force(
    model: Model | ChargeModel | str | os.PathLike[str],
    elements: app.Topology | Sequence[str | int],
    *,
    periodic: bool | Sequence[bool] | None = None,
    atoms: Sequence[int] | None = None,
    threads: int | None = None,
    backend: Backend = "native",
    device: str = "cpu",
    precision: Precision = "double",
    charge: float = 0.0,
) -> openmm.PythonForce:
    """Make a force to add to an OpenMM System.

    The force holds the bytes of the model file, so copies, pickles and System XML files of it
    need nothing else. Loading a System XML that holds a PythonForce executes a pickle: load only
    files you trust.

    Args:
        model: a model, or the path of a model file of any kind that acepot reads.
        elements: the Topology, or the chemical symbol or atomic number of every particle of
            the System.
        periodic: whether the atoms repeat with OpenMM's box, or along which of its three vectors;
            None: if the Topology has one.
        atoms: indices of the particles the model is for, in any order; None: all. The others
            are neither moved nor seen.
        threads: of the native evaluator; None: OMP_NUM_THREADS, else all processors.
        backend: native: the compiled kernel. torch: the evaluator in torch, some 20 times slower
            on a processor; never chosen by itself. A copy of the force keeps its backend.
        device: of torch, such as "cuda"; neighbours are found on the processor.
        precision: double, mixed (native only) or single, as for `acepot.Potential`.
        charge: total charge of these atoms in e, of a model with charges. They do not see charges
            of other forces.

    Returns:
        A PythonForce in kJ/mol and kJ/mol/nm. Set its force group as for any other force.

    Raises:
        InputError: an element the model does not know, atoms without an element, wrong indices,
            a Topology without a box for a periodic force, an unknown backend or precision,
            threads or mixed precision of torch or a device of the native one.
        ModelFileError: a damaged or foreign model file, or one from a newer version.
        MissingDependency: torch is not installed.
    """
    numbers = atomic_numbers(elements, atoms)
    directions = periodic_directions(elements, periodic)
    data = _file_of(model)
    computation = ACEComputation(
        data, numbers, directions, threads, backend, device, precision, charge
    )
    computation.open()
    force = openmm.PythonForce(computation)
    force.setName("ACE")
    force.setUsesPeriodicBoundaryConditions(computation.has_box)
    if atoms is not None:
        force.setParticles([int(i) for i in atoms])
    return force


def _file_of(model: Model | ChargeModel | str | os.PathLike[str]) -> bytes:
    """The bytes of a model as an .acepot file; those of the file itself where it is one."""
    if not isinstance(model, (Model, ChargeModel)):
        loaded: Any = acepot.load(model, Model | ChargeModel)
        content = Path(model).read_bytes()
        if content.startswith(b"PK"):
            return content
        model = loaded
    with io.BytesIO() as file:
        acepot.save(model, file)  # type: ignore[arg-type]
        return file.getvalue()


class ACEComputation:
    """What OpenMM calls at every evaluation of the force.

    Its pickle is plain data: the bytes of the model file, their SHA-256, the elements, the
    periodicity, the number of threads, the backend, its device, the precision and the charge. The
    evaluator is opened from them at the first call. System XML files name `_reopened` of this
    module, so it can neither move nor change its arguments (those with defaults came later).

    Args:
        data: bytes of an `.acepot` file.
        numbers: atomic numbers of the atoms in OpenMM's order, shape (n,).
        periodic: whether the atoms repeat with OpenMM's box, or along which of its vectors.
        threads: as for `create_force`.
        backend: likewise.
        device: likewise.
        precision: likewise.
        charge: likewise.
    """

    def __init__(
        self,
        data: bytes,
        numbers: Sequence[int],
        periodic: bool | tuple[bool, ...],
        threads: int | None,
        backend: Backend = "native",
        device: str = "cpu",
        precision: Precision = "double",
        charge: float = 0.0,
    ) -> None:
        if backend not in ("native", "torch"):
            raise InputError(f"backend: expected native or torch, got {backend!r}")
        digest = hashlib.sha256(data).hexdigest()
        self._state = (
            data, digest, tuple(numbers), periodic, threads, backend, device, precision, charge,
        )  # fmt: skip
        self.has_box = bool(np.any(periodic))
        self._compute: Callable[[NDArray[np.float64], NDArray[np.float64]], Any] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return (_reopened, self._state)

    @property
    def digest(self) -> str:
        """SHA-256 of the model file's bytes."""
        return self._state[1]

    def open(self) -> None:
        """Make the evaluator now rather than at the first call.

        Raises:
            InputError: an element the model does not know.
            ModelFileError: as `acepot.load`.
        """
        data, _, numbers, periodic, threads, backend, device, precision, charge = self._state
        model: Any = acepot.load(data, Model | ChargeModel)
        potential = Potential(model, backend, threads, precision, device)
        self._compute = potential.bind(numbers, periodic, charge).compute

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        """Energy in kJ/mol and forces in kJ/mol/nm, shape (n, 3).

        Args:
            state: of OpenMM, with positions and, if periodic, the box.

        Raises:
            InputError: another number of atoms, positions or results that are not finite,
                coinciding or too close atoms, no box or one without volume.
        """
        try:
            return self._forces(state)
        except Exception:
            _LOG.exception("the ACE force failed; OpenMM passes on the message alone")
            raise

    def _forces(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        if self._compute is None:
            self.open()
        # `_value` is nm already: the public way to a number costs more than a small model.
        positions = state.getPositions(asNumpy=True)._value * OPENMM.length
        cell = self._cell(state) if self.has_box else _NO_CELL
        energies, forces, _ = self._compute(positions, cell)  # type: ignore[misc]
        forces *= _FORCE
        return float(energies.sum()) * _ENERGY, forces

    def _cell(self, state: openmm.State) -> NDArray[np.float64]:
        try:
            return np.array(state.getPeriodicBoxVectors()._value) * OPENMM.length
        except openmm.OpenMMException as error:
            raise InputError(
                "box: this force is periodic, but OpenMM gave it no box vectors; leave "
                "setUsesPeriodicBoundaryConditions(True), or make it with periodic=False"
            ) from error


def _reopened(
    data: bytes,
    digest: str,
    numbers: tuple[int, ...],
    periodic: bool | tuple[bool, ...],
    threads: int | None,
    backend: Backend = "native",
    device: str = "cpu",
    precision: Precision = "double",
    charge: float = 0.0,
) -> ACEComputation:
    """A computation from its pickle; its model is read when it is first called."""
    computation = ACEComputation(
        data, numbers, periodic, threads, backend, device, precision, charge
    )
    if computation.digest != digest:
        raise ModelFileError(
            f"the ACE model in this file is damaged: expected SHA-256 {digest}, "
            f"got {computation.digest}"
        )
    return computation
