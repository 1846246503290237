"""Operations whose derivatives are the same operations: sparse matrices and radial splines.

Autograd differentiates both backward and forward, as often as asked, at the cost of a value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from acepot.evaluate.torch.geometry import RadialSplines

Ints = NDArray[np.int64]


class SparseMatrix(torch.nn.Module):
    """y = M x for x of shape (columns, …); `embedding_bag` on M's rows, which devices do fast.

    Args:
        row: of every entry, shape (nnz,).
        column: of every entry, shape (nnz,).
        value: of every entry, shape (nnz,).
        shape: of M.
        dtype: of the numbers.
    """

    column: Tensor
    first: Tensor
    value: Tensor
    column_t: Tensor
    first_t: Tensor
    value_t: Tensor

    def __init__(
        self,
        row: Ints,
        column: Ints,
        value: NDArray[np.float64],
        shape: tuple[int, int],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.shape = shape
        for name, into, out_of, size in (
            ("", row, column, shape[0]),
            ("_t", column, row, shape[1]),
        ):
            order = np.argsort(into, kind="stable")
            first = np.searchsorted(into[order], np.arange(size))
            self.register_buffer(f"column{name}", torch.tensor(out_of[order], dtype=torch.int64))
            self.register_buffer(f"first{name}", torch.tensor(first, dtype=torch.int64))
            self.register_buffer(f"value{name}", torch.tensor(value[order], dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """M x, shape (rows, …), for real or complex x of shape (columns, …)."""
        return self._multiply(x, self.shape[0], *self._entries())

    def transposed(self, x: Tensor) -> Tensor:
        """Mᵀ x, shape (columns, …), for real or complex x of shape (rows, …)."""
        entries = self._entries()
        return self._multiply(x, self.shape[1], *entries[3:], *entries[:3])

    def _entries(self) -> tuple[Tensor, ...]:
        by_row = (self.column, self.first, self.value)
        return (*by_row, self.column_t, self.first_t, self.value_t)

    @staticmethod
    def _multiply(x: Tensor, rows: int, *entries: Tensor) -> Tensor:
        real = torch.view_as_real(x) if x.is_complex() else x
        y = _multiply(real.flatten(1), *entries)
        y = y.reshape(rows, *real.shape[1:])
        return torch.view_as_complex(y) if x.is_complex() else y


class _Multiply(torch.autograd.Function):
    """M x, from the entries of M by rows; those of its transpose serve the derivatives."""

    @staticmethod
    def forward(
        x: Tensor, column: Tensor, first: Tensor, value: Tensor, *_transposed: Tensor
    ) -> Tensor:
        if len(column) == 0:
            return x.new_zeros((len(first), x.shape[1]))
        return embedding_bag(column, x, first, mode="sum", per_sample_weights=value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *adjoint: Tensor) -> tuple[Tensor | None, ...]:
        by_row, by_column = ctx.saved_tensors[:3], ctx.saved_tensors[3:]
        return (_multiply(adjoint[0], *by_column, *by_row), *[None] * 6)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _multiply(tangents[0], *ctx.saved_tensors)


def _multiply(x: Tensor, *entries: Tensor) -> Tensor:
    made: Tensor = _Multiply.apply(x, *entries)  # type: ignore[no-untyped-call]
    return made


def spline_values(splines: RadialSplines, other: Tensor, r: Tensor) -> Tensor:
    """Values of channels, zero outside the table, shape (E, C).

    Args:
        splines: the table.
        other: species of the neighbours, shape (E,).
        r: distances in Å, shape (E,).
    """
    row, u, inside = splines.place(other, r.detach())
    power = [inside.to(r.dtype)]
    for _ in range(5):
        power.append(power[-1] * u)
    rows = row.unsqueeze(1) * 6 + torch.arange(6, device=r.device)
    per_length = 1.0 / splines.spacing.index_select(0, other)
    table = splines.coefficients.reshape(-1, splines.coefficients.shape[2])
    return _spline(r, rows, torch.stack(power, dim=1), per_length, table, 0)


class _Spline(torch.autograd.Function):
    """A derivative Σ_k c_k (u^k)^(d) of splines: sums of table rows, no coefficient is copied."""

    @staticmethod
    def forward(
        r: Tensor, rows: Tensor, powers: Tensor, per_length: Tensor, table: Tensor, d: int
    ) -> Tensor:
        weights = powers
        if d > 0:
            k = torch.arange(6, dtype=r.dtype, device=r.device)
            factor = torch.stack([k - i for i in range(d)]).prod(dim=0)  # k!/(k-d)!, or 0
            weights = torch.zeros_like(powers)
            weights[:, d:] = powers[:, : max(6 - d, 0)] * factor[d:]
            weights *= per_length.unsqueeze(1) ** d
        return embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.d = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *adjoint: Tensor) -> tuple[Tensor | None, ...]:
        slope = _spline(*ctx.saved_tensors, ctx.d + 1)
        return ((adjoint[0] * slope).sum(dim=1), *[None] * 5)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        slope = _spline(*ctx.saved_tensors, ctx.d + 1)
        return slope * torch.unsqueeze(tangents[0], 1)


def _spline(*inputs: Any) -> Tensor:
    made: Tensor = _Spline.apply(*inputs)  # type: ignore[no-untyped-call]
    return made
