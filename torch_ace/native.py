"""The native evaluator as a module of torch, on the CPU in double precision."""

import hashlib

import torch
from torch import Tensor

from acepot import Model, Potential
from acepot.conversion import tables_of
from torch_ace.compilation import load_operator


class _Kernel(torch.nn.Module):
    """The bytes of a model's Tables and their SHA-256, by which the operators know them."""

    tables: Tensor
    numbers: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        load_operator()
        data = tables_of(model)
        tables = Potential(model, threads=1).tables
        self.register_buffer("tables", torch.frombuffer(bytearray(data), dtype=torch.uint8))
        self.register_buffer("numbers", torch.tensor(tables.numbers, dtype=torch.int64))
        self.key = hashlib.sha256(data).hexdigest()
        self.cutoff = float(tables.cutoff.max())
        self.outputs = tables.members


class NativeModule(_Kernel):
    """The native evaluator for edges, without autograd.

    Threads are torch's (`torch.set_num_threads`, OMP_NUM_THREADS). A process keeps one evaluator
    per model, whatever the number of modules.

    Args:
        model: a fitted model.

    Attributes:
        cutoff: the longest cut-off in Å.
        numbers: atomic numbers of the species, shape (S,); `species` below index them.
        outputs: 1 + number of committee members.

    Raises:
        InputError: a model that the native library cannot evaluate.
        MissingDependency: the operators are missing and cannot be compiled.
    """

    def forward(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Site energies and their derivatives by the vectors of edges.

        Args:
            species: species index of every atom, shape (n,), int64.
            centre: atom at the start of each edge, shape (E,), int64, in any order.
            neighbour: atom at its end, shape (E,), int64.
            vector: from centre to neighbour in Å, shape (E, 3), float64.

        Returns:
            E_i in eV, shape (n,), and dE_centre/dvector in eV/Å, shape (E, 3), both detached.
        """
        energies, gradient = torch.ops.acepot.evaluate_edges(
            self.tables,
            self.key,
            species,
            centre.contiguous(),
            neighbour.contiguous(),
            vector.detach().contiguous(),
        )
        return energies, gradient

    @torch.jit.export
    def committee(
        self, species: Tensor, centre: Tensor, neighbour: Tensor, vector: Tensor
    ) -> Tensor:
        """Site energies of the model and of the members of its committee.

        Args:
            species: as `forward`.
            centre: as `forward`.
            neighbour: as `forward`.
            vector: as `forward`.

        Returns:
            In eV, the model first, shape (outputs, n), detached.
        """
        energies: Tensor = torch.ops.acepot.committee_edges(
            self.tables,
            self.key,
            species,
            centre.contiguous(),
            neighbour.contiguous(),
            vector.detach().contiguous(),
        )
        return energies


class NativeStructureModule(_Kernel):
    """The native evaluator for atoms in a cell, neighbour list included, without autograd.

    Args:
        model: a fitted model.

    Attributes:
        cutoff: as for `NativeModule`.
        numbers: as for `NativeModule`.

    Raises:
        InputError: as `NativeModule`.
        MissingDependency: as `NativeModule`.
    """

    def forward(
        self, species: Tensor, positions: Tensor, cell: Tensor, pbc: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies, forces and virial of atoms in a cell, neighbour list included.

        Args:
            species: species index of every atom, shape (n,), int64.
            positions: in Å, anywhere, shape (n, 3), float64.
            cell: rows are lattice vectors in Å, shape (3, 3), float64.
            pbc: periodic directions, shape (3,), bool.

        Returns:
            E_i in eV, shape (n,), forces in eV/Å, shape (n, 3), and −∂E/∂ε in eV, shape (3, 3).
        """
        energies, forces, virial = torch.ops.acepot.evaluate(
            self.tables, self.key, species, positions.contiguous(), cell.contiguous(), pbc
        )
        return energies, forces, virial
