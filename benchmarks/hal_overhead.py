r"""Where the time of hyperactive learning goes, with a reference that costs nothing.

    OMP_NUM_THREADS=1 python benchmarks/hal_overhead.py --eam w_eam4.eam.fs --folder FOLDER

Walks of tungsten (three structures of 48 to 54 atoms) between 2500 and 5500 K until 60 structures
are labelled. The time of the reference, here an EAM in the same process, is left out. Then what a
refit costs, after one structure was added and of all at once, with more and more structures.
Processor time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from eam import Eam

import acepot
from acepot.hal.config import HalConfig
from acepot.hal.database import read
from acepot.hal.learner import Learner
from acepot.hal.published import Published
from acepot.hal.reference.job import Labelled
from acepot.hal.run import learn
from acepot.hal.surface import ModelSurface
from acepot.schema import from_mapping
from acepot.structure import Structure


class Free:
    """The EAM as a reference in this process, and how long it took."""

    def __init__(self, eam: Eam) -> None:
        self._eam, self.seconds = eam, 0.0

    def submit(self, number: int, structure: Structure, e0: float) -> Future[Labelled]:
        """Labels of a structure."""
        begun, done = time.process_time(), Future[Labelled]()
        energy, forces, virial = self._eam(structure)
        if not structure.pbc.all():
            virial = None
        done.set_result(
            Labelled(structure.labelled(energy=energy, forces=forces, virial=virial), "")
        )
        self.seconds += time.process_time() - begun
        return done

    def close(self) -> None:
        """Nothing is open."""


def timed(spent: dict[str, float], name: str, owner: Any, method: str) -> None:
    """Add the time of a method to `spent`."""
    plain: Callable[..., Any] = getattr(owner, method)

    def watched(*words: Any, **more: Any) -> Any:
        begun = time.process_time()
        try:
            return plain(*words, **more)
        finally:
            spent[name] = spent.get(name, 0.0) + time.process_time() - begun

    setattr(owner, method, watched)


def crystals(folder: Path) -> Path:
    """bcc, with a vacancy, and fcc."""
    vacancy = bulk("W", "bcc", 3.1436, cubic=True) * (3, 3, 3)
    del vacancy[13]
    found = [bulk("W", "bcc", 3.1436, cubic=True) * (3, 3, 3), vacancy]
    found.append(bulk("W", "fcc", 3.99, cubic=True) * (3, 2, 2))
    file = folder / "start.xyz"
    acepot.write_structures(
        file, [Structure(a.numbers, a.positions, a.cell.array, True) for a in found]
    )
    return file


def refits(structures: list[Structure], degree: float) -> None:
    """What one more structure costs."""
    basis = {"order": 3, "degree": degree, "cutoff": 5.0}

    def fitted(some: list[Structure]) -> Any:
        return acepot.fit(some, basis, e0={"W": 0.0}, threads=1, accept_labels=True)

    print("structures,rows,add_one_s,all_at_once_s")
    for count in (10, 20, 40, 55):
        known = fitted(structures[:count])
        seconds = []
        for make in (
            lambda k=known, c=count: k.add(structures[c : c + 1]),
            lambda c=count: fitted(structures[: c + 1]),
        ):
            best = np.inf
            for _ in range(3):
                begun = time.process_time()
                make()
                best = min(best, time.process_time() - begun)
            seconds.append(best)
        rows = known.report["elimination"]["rows"]
        print(f"{count},{rows},{seconds[0]:.3f},{seconds[1]:.3f}", flush=True)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--eam", type=Path, required=True)
    words.add_argument("--folder", type=Path, required=True)
    words.add_argument("--degree", type=float, default=14)
    o = words.parse_args()
    o.folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "start": {"file": str(crystals(o.folder))},
        "motion": {
            "temperature": 2500.0, "temperature_end": 5500.0, "steps": 1500, "timestep": 2.0,
        },
        "moves": [{"kind": "volume"}],
        "fit": {"basis": {"order": 3, "degree": o.degree, "cutoff": 5.0}},
        "criterion": {"kind": "relative", "tolerance": 0.25},
        "stop": {"references": 60, "quiet": 4},
        "run": {"seed": 1, "threads": 1},
    }  # fmt: skip
    spent = dict[str, float]()
    timed(spent, "evaluation", ModelSurface, "compute")
    timed(spent, "evaluation", ModelSurface, "measure")
    timed(spent, "fits", Learner, "teach")
    timed(spent, "files and page", Published, "cycle")
    free = Free(Eam(o.eam))
    begun = time.process_time()
    learn(from_mapping(HalConfig, settings), o.folder / "run", say=print, reference=free)
    everything = time.process_time() - begun - free.seconds
    spent["other"] = everything - sum(spent.values())
    for name, seconds in spent.items():
        print(f"{name}: {seconds:.2f} s, {100 * seconds / everything:.0f} %")
    records = read(o.folder / "run" / "data.extxyz")
    refits([r.structure for r in records if r.origin.use == "train"], o.degree)


if __name__ == "__main__":
    main()
