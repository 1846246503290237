"""Products of a constant sparse matrix with rows of features, differentiable in every way."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

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

    def __init__(
        self,
        row: Ints,
        column: Ints,
        value: NDArray[np.float64],
        shape: tuple[int, int],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.rows = shape[0]
        for name, into, out_of, size in (("", row, column, shape[0]), ("_t", column, row, shape[1])):
            order = np.argsort(into, kind="stable")
            first = np.searchsorted(into[order], np.arange(size))
            self.register_buffer(f"column{name}", torch.tensor(out_of[order], dtype=torch.int64))
            self.register_buffer(f"first{name}", torch.tensor(first, dtype=torch.int64))
            self.register_buffer(f"value{name}", torch.tensor(value[order], dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """M x, shape (rows, …), for real or complex x of shape (columns, …)."""
        real = torch.view_as_real(x) if x.is_complex() else x
        flat = real.reshape(x.shape[0], -1)
        y = _Multiply.apply(
            flat, self.column, self.first, self.value, self.column_t, self.first_t, self.value_t
        )
        y = y.reshape(self.rows, *real.shape[1:])
        return torch.view_as_complex(y) if x.is_complex() else y


class _Multiply(torch.autograd.Function):
    """M x, from the entries of M by rows; those of its transpose serve the derivatives."""

    generate_vmap_rule = False

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
        return (_Multiply.apply(adjoint[0], *by_column, *by_row), *[None] * 6)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        return _Multiply.apply(tangents[0], *ctx.saved_tensors)  # type: ignore[no-any-return]
