"""Calculators that several threads may ask: one calculation at a time, and its own results."""

from __future__ import annotations

import threading
from typing import Any

from acepot.errors import MissingDependency

try:
    from ase.calculators import calculator as host
except ImportError as error:
    raise MissingDependency("ase_ace needs ASE: pip install acepot[ase]") from error


class SerialCalculator(host.Calculator):
    """ASE's Calculator, whose properties are asked for by one thread after the other.

    ASE keeps the atoms and the results of the last calculation in the calculator: without this a
    thread can be given those of another one.
    """

    def __init__(self, **options: Any) -> None:
        self._turn = threading.RLock()
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
        """As ASE's."""
        with self._turn:
            return super().get_property(name, atoms, allow_calculation)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_turn"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._turn = threading.RLock()
