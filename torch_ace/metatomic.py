"""Model files of metatomic: TorchScript, and beside it the compiled operators that it calls."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal, get_args

import acepot
from acepot import Model, Potential
from acepot.errors import InputError, MissingDependency

try:
    import torch
    from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput
except ImportError as error:
    raise MissingDependency("metatomic is missing: pip install acepot[metatomic]") from error

from acepot.evaluate.torch.module import AceModule
from torch_ace.atomistic import EnergyModule
from torch_ace.compilation import OPERATOR, load_operator
from torch_ace.native import NativeModule

Backend = Literal["native", "torch"]


def atomistic_model(model: Model, backend: Backend = "native") -> AtomisticModel:
    """A model as metatomic's AtomisticModel in eV, Å and float64.

    Its output is `energy`, of systems or of atoms; engines find forces and stress by autograd.
    Models with a committee have `energy_ensemble`, its members' energies, and
    `energy_uncertainty`, their deviation from the model's.

    Args:
        model: a fitted model.
        backend: native: the compiled kernel, on a CPU. torch: the evaluator in torch, on a GPU
            if there is one.

    Raises:
        InputError: an unknown backend, or a model it cannot evaluate.
        MissingDependency: native, and the operators cannot be compiled.
    """
    if backend not in get_args(Backend):
        raise InputError(f"backend: expected {' or '.join(get_args(Backend))}, got {backend!r}")
    if backend == "native":
        edges: NativeModule | AceModule = NativeModule(model)
    else:
        edges = AceModule(Potential(model, threads=1).tables)
    names = ["energy"]
    if edges.outputs > 1:
        names += ["energy_uncertainty", "energy_ensemble"]
    capabilities = ModelCapabilities(
        outputs={name: ModelOutput(unit="eV", sample_kind="atom") for name in names},
        atomic_types=[int(z) for z in model.numbers],
        interaction_range=edges.cutoff,
        length_unit="angstrom",
        supported_devices=["cpu"] if backend == "native" else ["cuda", "cpu"],
        dtype="float64",
    )
    metadata = ModelMetadata(
        name=f"ACE for {', '.join(model.elements)}",
        description=f"Atomic Cluster Expansion, exported by acepot {acepot.__version__}",
    )
    return AtomisticModel(EnergyModule(edges).train(False), metadata, capabilities)


def export_metatomic(
    model: Model | str | os.PathLike[str],
    target: str | os.PathLike[str],
    backend: Backend = "native",
) -> Path | None:
    """Write a model as a file of metatomic, complete or not at all.

    Args:
        model: a model, or the path of a model file of any kind that acepot reads.
        target: file to write; metatomic's end in `.pt`.
        backend: as `atomistic_model`.

    Returns:
        native: the folder with the compiled operators, `extensions` beside the file, which
        programs are told with the file; else None.

    Raises:
        InputError: as `atomistic_model`.
        ModelFileError: a damaged or foreign model file, or one from a newer version.
        MissingDependency: as `atomistic_model`.
    """
    model = model if isinstance(model, Model) else acepot.load(model)
    wrapped = atomistic_model(model, backend)
    target = Path(target).absolute()
    extensions = target.parent / "extensions" if backend == "native" else None
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".acepot.") as scratch:
        file = Path(scratch) / target.name
        wrapped.save(str(file))
        _name_extensions(file, [OPERATOR] if extensions else [])
        if extensions:
            extensions.mkdir(exist_ok=True)
            copy = Path(scratch) / OPERATOR
            shutil.copyfile(load_operator(), copy)
            os.replace(copy, extensions / OPERATOR)
        os.replace(file, target)
    return extensions


def _name_extensions(file: Path, names: list[str]) -> None:
    """Make the file ask for these libraries, by their names in the folder of extensions.

    metatomic names all that the process has loaded, by where they lie in Python's installation.
    The operators lie in the user's cache, and others are no business of this model.
    """
    extras = {
        name: ""
        for name in (
            "torch-version",
            "metatomic-version",
            "extensions",
            "extensions-deps",
            "export-metadata",
            "model-metadata",
        )
    }
    module = torch.jit.load(str(file), _extra_files=extras)
    texts = {k: v.decode() if isinstance(v, bytes) else v for k, v in extras.items()}
    recorded = json.loads(texts["extensions"])
    texts["extensions"] = json.dumps(
        [one | {"path": name} for one in recorded for name in names if one["name"] == name[:-3]]
    )
    texts["extensions-deps"] = "[]"
    torch.jit.save(module, str(file), _extra_files=texts)
