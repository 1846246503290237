"""ACE potentials for i-PI's `ffdirect` and `i-pi-driver-py`: the file for their mode `custom`.

`acepot-ipi --pes-path` prints the path of this file:

    <ffdirect name='acepot'>
      <pes> custom </pes>  <pes_path> ... </pes_path>
      <parameters> {template: Si.extxyz, model: model.acepot} </parameters>
    </ffdirect>

    i-pi-driver-py -u -a NAME -m custom -P ... -o template=Si.extxyz,model=model.acepot
"""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from acepot.errors import AceError, InputError, MissingDependency
from ipi_driver.forcefield import Answer, Precision, open_forcefield

try:
    from ipi.pes.dummy import Dummy_driver
    from ipi.utils.softexit import softexit
except ImportError as error:
    raise MissingDependency("this file is for i-PI: pip install acepot[ipi]") from error

__DRIVER_NAME__ = "acepot"
__DRIVER_CLASS__ = "ACEDriver"

Floats = NDArray[np.float64]
Reply = tuple[float, Floats, Floats, str]


class ACEDriver(Dummy_driver):  # type: ignore[misc]  # i-PI has no types
    """An ACE potential as an i-PI PES; batches go to the evaluator in one call.

    Args:
        template: a file with one structure of the run.
        model: a model file.
        pbc: periodic directions as three letters such as TTF; None: as the template says.
        energies: put the energies of the atoms into the extras.
        committee: put the committee's predictions into the extras.
        threads: of the evaluator; None: OMP_NUM_THREADS, else all processors.
        precision: double, mixed or single, as for `acepot.Potential`.
        posterior: file of the model's posterior, for the energy E - τσ in place of E.
        tau: τ of that bias.
        charge: total charge in e, of a model with charges.
        options: those that i-PI gives every PES, such as verbosity.

    Raises:
        InputError: a template that does not suit, options that cannot be; when evaluating:
            structures that do not suit.
        ModelFileError: not a model file, a damaged one or one of a later version.
    """

    def __init__(
        self,
        template: str,
        model: str,
        pbc: str | None = None,
        energies: bool | str = False,
        committee: bool | str = False,
        threads: int | str | None = None,
        precision: str = "double",
        posterior: str | None = None,
        tau: float | str = 0.0,
        charge: float | str = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._forcefield = open_forcefield(
            str(model).strip(),
            str(template).strip(),
            pbc=None if pbc is None else str(pbc).strip(),
            energies=_flag("energies", energies),
            committee=_flag("committee", committee),
            threads=None if threads is None else _whole("threads", threads),
            precision=cast("Precision", str(precision).strip()),  # the Potential checks it
            posterior=None if posterior is None else str(posterior).strip(),
            tau=_number("tau", tau),
            charge=_number("charge", charge),
        )

    def compute_structure(self, cell: Floats, pos: Floats) -> Reply:
        """Potential, forces (n, 3), virial (3, 3) and extras of one structure, atomic units."""
        return self._replies([cell], [pos])[0]

    def compute(self, cell: Floats | list[Floats], pos: Floats | list[Floats]) -> Any:
        """As `compute_structure`; of lists of structures a list."""
        if isinstance(cell, list):
            return self._replies(cell, list(pos))
        return self.compute_structure(cell, np.asarray(pos))

    def _replies(self, cells: list[Floats], positions: list[Floats]) -> list[Reply]:
        try:
            answers = self._forcefield.compute(cells, positions)
        except AceError as error:
            # An error that ends i-PI's polling thread would leave its main thread waiting.
            if threading.current_thread() is not threading.main_thread():
                softexit.trigger(status="bad", message=f"acepot: {error}")
            raise
        return [_reply(answer) for answer in answers]


def _reply(answer: Answer) -> Reply:
    return answer.energy, answer.forces, answer.virial, answer.extras


def _flag(name: str, value: bool | str) -> bool:
    """True or False, also as the text that i-PI's input may leave it in."""
    words = {"true": True, "false": False}
    if (text := str(value).strip().lower()) not in words:
        raise InputError(f"{name}: expected True or False, got {value!r}")
    return words[text]


def _number(name: str, value: float | str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{name}: expected a number, got {value!r}") from error


def _whole(name: str, value: int | str) -> int:
    text = str(value).strip()
    if not text.isdecimal():
        raise InputError(f"{name}: expected a whole number, got {value!r}")
    return int(text)
