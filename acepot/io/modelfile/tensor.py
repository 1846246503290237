"""Models of tensors of sites and of bonds in model files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acepot.basis.bond import BondSpec, bond_parts, resolve_bonds
from acepot.basis.irrep import Irrep, irreps
from acepot.basis.selection import irrep_sizes
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.io.modelfile import basis
from acepot.io.modelfile.container import Arrays, Header, table
from acepot.io.modelfile.radial import Mixing
from acepot.model import BondModel, TensorModel
from acepot.schema import Settings, from_mapping, to_mapping

#: Version of the file since which tensors are understood.
_TENSORS = 3
#: What a file says about its numbers; the unit of the outputs is the model's own.
UNITS = {"length": "angstrom"}
CONVENTIONS = {
    "outputs": "y_io = sum_k c_ok B_ik; of bonds h_ijo = sum_k c_ok F_k(i->j)",
    "components": "M = -L ... L of real harmonics without Condon-Shortley sign",
    "normalisation": "orthonormal couplings times sqrt(|Stab|)",
}


@dataclass(frozen=True)
class Outputs(Settings):
    """What a header says of the outputs of one (L, parity): 0e, 1o … and their names."""

    irrep: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class OutputTable(Settings):
    """The outputs of a model and their unit."""

    outputs: tuple[Outputs, ...]
    unit: str = ""

    @property
    def irreps(self) -> tuple[Irrep, ...]:
        """(L, parity) of the outputs."""
        return irreps([one.irrep for one in self.outputs])

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the outputs of each."""
        return tuple(one.names for one in self.outputs)


def arrays(header: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The names of the arrays that a file with this header may have."""
    found = _outputs(header, name).irreps
    return "mixing", *(f"coefficients_{i}" for i in found), *basis.arrays_of(header, name)


def encode(model: TensorModel) -> tuple[Header, Arrays]:
    """The header and the arrays of a model of sites.

    Raises:
        InputError: the model has what this format has no place for.
    """
    if isinstance(model.basis, BasisSpec):
        _check(irrep_sizes(model.basis), model)
    return _encode(model)


def decode(header: Header, arrays: Arrays, name: str) -> TensorModel:
    """The model of sites again.

    Args:
        header: as `encode` makes it.
        arrays: by name.
        name: how errors begin.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    told = _outputs(header, name)
    coefficients = _coefficients(told.irreps, arrays, name)
    size = sum(c.shape[2] for c in coefficients)
    mixing = Mixing(arrays.get("mixing"))
    found = basis.decode(header, arrays, size, mixing, name, lambda _basis: None)
    if found.symmetries != told.irreps:
        raise ModelFileError(f"{name}: its outputs are not those of its basis")
    if mixing.left:
        raise ModelFileError(f"{name}: the array mixing has {mixing.left} numbers too many")
    model = TensorModel(
        found, coefficients, told.names, told.unit, table(header, "provenance", name)
    )
    if isinstance(found, BasisSpec):
        _check(irrep_sizes(found, size), model)
    return model


def encode_bonds(model: BondModel) -> tuple[Header, Arrays]:
    """The header and the arrays of a model of bonds.

    Raises:
        InputError: the model has what this format has no place for.
    """
    if resolve_bonds(model.bonds, model.basis) != model.bonds:
        raise InputError("model.bonds: expected a resolved specification; use resolve_bonds")
    _check_bonds(model, None)
    header, arrays = _encode(model)
    return header | {"bonds": to_mapping(model.bonds)}, arrays


def decode_bonds(header: Header, arrays: Arrays, name: str) -> BondModel:
    """The model of bonds again.

    Args:
        header: as `encode_bonds` makes it.
        arrays: by name.
        name: how errors begin.

    Raises:
        ModelFileError: contents that do not fit together.
    """
    told = _outputs(header, name)
    coefficients = _coefficients(told.irreps, arrays, name)
    settings = table(table(header, "basis", name), "specification", name)
    found = basis.specification(settings, name)
    if "mixing" in arrays:
        raise ModelFileError(f"{name}: the array mixing has no place in it")
    most = sum(c.shape[2] for c in coefficients)
    bonds = from_mapping(BondSpec, table(header, "bonds", name))
    if resolve_bonds(bonds, found) != bonds:
        raise ModelFileError(f"{name}: its bonds are not resolved")
    model = BondModel(
        found, bonds, told.irreps, coefficients, told.names, told.unit,
        table(header, "provenance", name),
    )  # fmt: skip
    _check_bonds(model, most)
    return model


def _check_bonds(model: BondModel, limit: int | None) -> None:
    """Refuse coefficients that do not fit the functions of sites and bonds.

    Args:
        model: of bonds.
        limit: refuse to count more functions of the sites than this.
    """
    sizes, found = irrep_sizes(model.basis, limit), model.basis
    elements = len(found.elements)
    constants = elements * found.constant
    expected, used = [], set()
    for irrep in model.irreps:
        parts = bond_parts(found.symmetries, sizes, constants, elements, model.bonds, irrep)
        expected.append(sum(one.size for one in parts))
        used |= {one.site for one in parts}
    if unused := [str(i) for k, i in enumerate(model.basis.symmetries) if k not in used]:
        raise InputError(
            f"model.basis: no output couples to {', '.join(unused)} of the sites; leave it out"
        )
    _check(expected, model)


def _check(sizes: Sequence[int], model: TensorModel | BondModel) -> None:
    """Refuse coefficients that do not fit so many functions, and irreps that nothing reads."""
    for size, irrep, c in zip(sizes, model.irreps, model.coefficients, strict=True):
        if c.shape[2] != size or (c.shape[1] == 0) != (size == 0):
            outputs = "one output or more" if size else "no output"
            raise InputError(
                f"model.coefficients of {irrep}: expected {outputs} of {size} functions, got shape "
                f"{c.shape}; leave out of the basis what nothing is read from"
            )


def _encode(model: TensorModel | BondModel) -> tuple[Header, Arrays]:
    mixing = Mixing()
    version, described, found = basis.encode(model.basis, mixing)
    outputs = tuple(
        Outputs(str(irrep), names) for irrep, names in zip(model.irreps, model.names, strict=True)
    )
    header: Header = {
        "version": max(version, _TENSORS),
        "conventions": CONVENTIONS,
        "basis": described,
        "read out": to_mapping(OutputTable(outputs, model.unit)),
        "provenance": dict(model.provenance),
    }
    for irrep, c in zip(model.irreps, model.coefficients, strict=True):
        found[f"coefficients_{irrep}"] = c
    if mixing.array is not None:
        found["mixing"] = mixing.array
    return header, found


def _outputs(header: Mapping[str, Any], name: str) -> OutputTable:
    told = from_mapping(OutputTable, table(header, "read out", name), name)
    if not told.irreps:
        raise ModelFileError(f"{name}: it has no outputs")
    return told


def _coefficients(told: tuple[Irrep, ...], arrays: Arrays, name: str) -> tuple[Any, ...]:
    found = []
    for irrep in told:
        array = arrays.get(f"coefficients_{irrep}")
        if array is None or array.ndim != 3:
            raise ModelFileError(f"{name}: the coefficients of {irrep} are missing or misshapen")
        found.append(array)
    # Arrays without numbers may claim any shape: what is in the file bounds what it may ask for.
    most = sum(array.size for array in found)
    if most == 0 or any(max(array.shape) > most for array in found):
        raise ModelFileError(f"{name}: its arrays claim more than the {most} numbers there are")
    return tuple(found)
