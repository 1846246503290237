"""Runs of nested sampling with two atoms in a wave, each as a process of its own.

Reads lines of JSON, [folder, changes], forks a process for each that makes the run, prints its
number, and when it has ended its status. "dask" among the changes is the address of a scheduler;
with "stay" the process waits, when its run has ended, for a signal that ends it.
"""

import json
import os
import signal
import sys
import traceback

import numpy as np

from acepot.sampling.config import (
    Atoms,
    EnsembleSettings,
    NestedConfig,
    Output,
    Run,
    StopSettings,
)
from acepot.sampling.energies import Energies
from acepot.sampling.mixture import GalileanSettings, VolumeSettings
from acepot.sampling.run import sample
from acepot.sampling.settings import Tuning


class Wave:
    """U = Σ (1 - cos 2πs) over the fractional coordinates, in eV."""

    def __init__(self, good_calls=None):
        self.left = good_calls

    def compute(self, numbers, positions, cells, out: Energies):
        inverse = np.linalg.inv(cells)
        phase = 2 * np.pi * (positions @ inverse)
        out.energy[:] = (1 - np.cos(phase)).sum(axis=(1, 2))
        out.forces[:] = -2 * np.pi * np.sin(phase) @ inverse.transpose(0, 2, 1)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                out.energy[-1] = np.nan


def config(*, iterations=2000, walkers=10, length=2, batch=1, seed=3, checkpoint=0.2, **more):
    return NestedConfig(
        "wave",
        Atoms({"Ar": 2}),
        EnsembleSettings(pressures=more.get("pressures", (10.0,)), volume_max=100.0),
        Run(walkers, length, batch, seed, shape_rounds=10),
        (GalileanSettings(length=2), VolumeSettings(weight=2.0)),
        StopSettings(more.get("temperature"), iterations),
        tuning=Tuning(pilots=20, interval=500),
        output=Output(every=50, culled=100, checkpoint=checkpoint),
    )


def main():
    for line in sys.stdin:
        folder, changes = json.loads(line)
        process = os.fork()
        if process == 0:
            try:
                made(folder, **changes)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        tell(process, sys.stdout)
        tell(os.waitpid(process, 0)[1], sys.stdout)


def tell(what, stream):
    stream.write(f"{what}\n")
    stream.flush()


def made(folder, dask=None, stay=False, **changes):
    sample(
        config(**changes), folder, say=lambda line: tell(line, sys.stderr),
        plots=False, dask=dask, energies=Wave(),
    )  # fmt: skip
    if stay:
        signal.pause()


if __name__ == "__main__":
    main()
