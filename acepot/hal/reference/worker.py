"""A process that evaluates structures with a calculator of ASE: one JSON line in, one out.

    python -m acepot.hal.reference.worker

The first line names the calculator. What calculators print goes to the standard error, so that
nothing but answers is on the standard output. The process ends where its input does, and where who
started it has ended in any other way: nobody waits for its answer then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import IO, Any

import numpy as np

from acepot.errors import MissingDependency

__all__ = ["calculator", "main"]

#: Seconds between looks at who started this process.
_LOOK = 0.5


def calculator(name: str, keywords: dict[str, Any]) -> Any:
    """A calculator of ASE.

    Args:
        name: as ASE knows it, such as eam; or of a class in any module, such as
            tblite.ase:TBLite.
        keywords: of its class.
    """
    try:
        known: Any = import_module("ase.calculators.calculator")
    except ImportError as error:
        raise MissingDependency(
            "reference: calculators need ASE: pip install acepot[ase]"
        ) from error
    module, _, of = name.partition(":")
    made: Any = getattr(import_module(module), of) if of else known.get_calculator_class(name)
    return made(**keywords)


def evaluated(engine: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Energy, forces and, of periodic structures, stress, as plain numbers."""
    from ase import Atoms
    from ase.calculators.calculator import PropertyNotImplementedError

    atoms: Any = Atoms(asked["numbers"], asked["positions"], cell=asked["cell"], pbc=asked["pbc"])
    atoms.calc = engine
    energy = float(atoms.get_potential_energy())
    forces = np.asarray(atoms.get_forces(apply_constraint=False), dtype=float)
    stress = None
    if all(asked["pbc"]):
        try:
            stress = np.asarray(atoms.get_stress(voigt=False), dtype=float).tolist()
        except (PropertyNotImplementedError, NotImplementedError):
            stress = None
    return {"energy": energy, "forces": forces.tolist(), "stress": stress}


def answered(line: str, engines: list[Any]) -> dict[str, Any]:
    """What is to be said to one line.

    Args:
        line: JSON: the name of a calculator, or a structure.
        engines: the calculator, once there is one.
    """
    try:
        asked = json.loads(line)
        if "name" in asked:
            engines[:] = [calculator(asked["name"], asked["keywords"])]
            return {"ready": True}
        return evaluated(engines[0], asked)
    except Exception as error:  # calculators raise whatever they meet, and the run must know
        return {"error": f"{type(error).__name__}: {error}"}


def _watch(parent: int) -> None:
    """End this process, and those it has started, when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main(answers: IO[str]) -> int:
    """Answer lines until there are no more.

    Args:
        answers: where answers go.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    engines: list[Any] = []
    for line in sys.stdin:
        answers.write(json.dumps(answered(line, engines)) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    _out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.exit(main(_out))
