"""Langevin dynamics at constant pressure in ASE, with cells that keep their shape or do not."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acepot.errors import MissingDependency

try:
    from ase.md.langevinbaoab import LangevinBAOAB
except ImportError as error:
    raise MissingDependency("acepot md needs ASE 3.29 or newer: pip install acepot[ase]") from error

Floats = NDArray[np.float64]
Cell = Literal["isotropic", "anisotropic", "full"]


def state_shape(cell: Cell) -> tuple[int, ...]:
    """The shape of `CellLangevin.state`."""
    return (2,) if cell == "isotropic" else (2, 3, 3)


class CellLangevin(LangevinBAOAB):
    """ASE's LangevinBAOAB with a barostat that may be held to lengths, and that can go on.

    Args:
        atoms: of ASE.
        step: time step in ASE's unit.
        cell: isotropic: the cell keeps its shape; anisotropic: it changes along x, y and z alone;
            full: it changes in every way.
        state: of a barostat to go on from; None: a new one, at rest.
        options: of LangevinBAOAB.
    """

    p_eps: Any
    force_eps: Any
    externalstress: Any

    def __init__(
        self, atoms: Any, step: float, cell: Cell, state: Floats | None, **options: Any
    ) -> None:
        self._mask = np.eye(3) if cell == "anisotropic" else np.ones((3, 3))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Using heuristic P_mass")
            super().__init__(  # type: ignore[no-untyped-call]
                atoms, step, hydrostatic=cell == "isotropic", **options
            )
        if state is not None:
            self.p_eps, self.force_eps = state.tolist() if self.hydrostatic else state
        elif not self.hydrostatic:
            self.p_eps = np.zeros((3, 3))

    def state(self) -> Floats:
        """Momentum and force of the barostat.

        The force is of the velocities before the last half kick: not to be had again.
        """
        return np.array([self.p_eps, self.force_eps], dtype=float)

    def set_pressure(self, pressure: float) -> None:
        """Another one from now on, in eV/Å³."""
        self.externalstress = -pressure if self.hydrostatic else -pressure * np.eye(3)

    def _update_force_eps(self) -> None:
        super()._update_force_eps()  # type: ignore[no-untyped-call]
        if not self.hydrostatic:
            self.force_eps = self.force_eps * self._mask

    def _barostat_BAOAB_OU(self) -> None:  # noqa: N802 - ASE's name
        super()._barostat_BAOAB_OU()  # type: ignore[no-untyped-call]
        if not self.hydrostatic:
            self.p_eps = self.p_eps * self._mask

    def _barostat_BAOAB_OU_gamma_mod(self) -> Any:  # noqa: N802 - ASE's name
        if self.hydrostatic:
            return super()._barostat_BAOAB_OU_gamma_mod()  # type: ignore[no-untyped-call]
        # ASE 3.29 adds the trace to all nine components instead of the diagonal ones.
        trace = np.trace(self.p_eps) / self.Ndof
        return (self.p_eps + trace * np.eye(3)) / self.barostat_mass
