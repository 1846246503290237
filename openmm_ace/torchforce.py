"""An ACE model as an OpenMM TorchForce."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import acepot
from acepot import Model, Potential
from acepot.errors import InputError, MissingDependency
from openmm_ace.particles import atomic_numbers, is_periodic

try:
    import openmmtorch
    import torch
except ImportError as error:
    raise MissingDependency(
        "create_torch_force needs torch and openmm-torch in versions that fit together; "
        "openmm_ace.check_torchforce() says which"
    ) from error

from acepot.evaluate.torch.module import AceModule
from openmm_ace.torchmodule import ForceModule
from torch_ace.native import NativeStructureModule
from torch_ace.structure import StructureModule

if TYPE_CHECKING:
    from openmm import app

Backend = Literal["native", "torch"]
Precision = Literal["double", "single"]


def create_torch_force(
    model: Model | str | os.PathLike[str],
    elements: app.Topology | Sequence[str | int],
    path: str | os.PathLike[str],
    *,
    periodic: bool | None = None,
    atoms: Sequence[int] | None = None,
    backend: Backend = "native",
    precision: Precision = "double",
    scale: str | None = None,
    cuda_graphs: bool = False,
) -> openmmtorch.TorchForce:
    """Write a model as TorchScript and make a TorchForce of it, to add to an OpenMM System.

    The force gives OpenMM energy and forces in one call, without autograd. Copies and System XML
    files of it hold the TorchScript; a process that reads one back must first call
    `torch_ace.load_operator()` (backend native) or `import vesin_torch` (backend torch).

    Args:
        model: a model, or the path of a model file of any kind that acepot reads.
        elements: the Topology, or the chemical symbol or atomic number of every particle of
            the System.
        path: the TorchScript file to write.
        periodic: whether the atoms repeat with OpenMM's box; None: if the Topology has one.
        atoms: indices of the particles the model is for, in any order; None: all.
        backend: native: the compiled kernel, on OpenMM's Reference and CPU platforms; its
            threads are torch's. torch: the evaluator in torch, wherever OpenMM puts it.
        precision: of the torch backend; neighbours and sums are in double precision.
        scale: name of a global parameter that multiplies energy and forces, 1 at first.
        cuda_graphs: ask OpenMM to record a CUDA graph. The number of neighbours changes from
            step to step, which CUDA graphs cannot follow: only for trials.

    Raises:
        InputError: an element the model does not know, atoms without an element, wrong indices,
            an unknown backend or precision, or a Topology without a box for a periodic force.
        ModelFileError: a damaged or foreign model file, or one from a newer version.
        MissingDependency: the native operators cannot be compiled.
    """
    model = model if isinstance(model, Model) else acepot.load(model)
    numbers = atomic_numbers(elements, atoms)
    periodic = is_periodic(elements, periodic)
    module = ForceModule(
        _structure(model, backend, precision),
        _species(model, numbers),
        None if atoms is None else torch.tensor([int(i) for i in atoms]),
        periodic,
        scale is not None,
    )
    torch.jit.script(module.train(False)).save(os.fspath(path))
    force = openmmtorch.TorchForce(
        os.fspath(path), {"useCUDAGraphs": "true" if cuda_graphs else "false"}
    )
    force.setName("ACE")
    force.setOutputsForces(True)
    force.setUsesPeriodicBoundaryConditions(periodic)
    if scale is not None:
        force.addGlobalParameter(scale, 1.0)
    return force


def _structure(model: Model, backend: Backend, precision: Precision) -> torch.nn.Module:
    if backend not in get_args(Backend):
        raise InputError(f"backend: expected native or torch, got {backend!r}")
    if precision not in get_args(Precision):
        raise InputError(
            f"precision: expected double or single, got {precision!r}; "
            "mixed is of openmm_ace.create_force"
        )
    if backend == "native":
        if precision != "double":
            raise InputError("precision: the native backend of a TorchForce has double only")
        return NativeStructureModule(model)
    dtype = torch.float32 if precision == "single" else torch.float64
    return StructureModule(AceModule(Potential(model, threads=1).tables, dtype))


def _species(model: Model, numbers: Sequence[int]) -> torch.Tensor:
    Potential(model, threads=1).bind(numbers, False)  # raises if there are elements it has not
    return torch.tensor([model.numbers.index(z) for z in numbers])
