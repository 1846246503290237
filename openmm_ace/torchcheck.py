"""Whether the installed torch, openmm-torch and OpenMM work together."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

#: Versions that passed all of this.
_TRIED = "torch==2.12.1 acellera-openmmtorch-cpu==1.10 openmm==8.5.2"
_WHEELS = ("acellera-openmmtorch-cpu", "acellera-openmmtorch-cuda13", "openmmtorch")
_STAGES = ("import", "evaluate", "deepcopy", "serialise")
#: Prints the name of every stage that it passed. A harmonic trap in a box; no acepot in it.
_PROBE = """
import copy, sys
import torch
import openmmtorch
import openmm
print("import", flush=True)
class Trap(torch.nn.Module):
    def forward(self, positions, box):
        return (positions ** 2).sum(), (-2.0 * positions).detach().contiguous()
torch.jit.script(Trap()).save(sys.argv[1])
force = openmmtorch.TorchForce(sys.argv[1])
force.setOutputsForces(True)
force.setUsesPeriodicBoundaryConditions(True)
def evaluate(force):
    system = openmm.System()
    system.addParticle(1.0)
    system.addForce(force)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions([(1.0, 2.0, 3.0)])
    state = context.getState(energy=True, forces=True)
    assert abs(state.getPotentialEnergy()._value - 14.0) < 1e-12
    assert abs(state.getForces()[0][2]._value + 6.0) < 1e-12
    return system
system = evaluate(force)
print("evaluate", flush=True)
evaluate(copy.deepcopy(system.getForce(0)))
print("deepcopy", flush=True)
evaluate(openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system.getForce(0))))
print("serialise", flush=True)
"""


@dataclass(frozen=True)
class TorchForceCheck:
    """What `check_torchforce` found.

    Args:
        works: whether everything passed.
        versions: of the packages; None: not installed.
        failed: the stage that failed: import, evaluate, deepcopy, serialise or exit; None: none.
        reason: the end of what the failed stage said, or the signal that ended it.
    """

    works: bool
    versions: dict[str, str | None]
    failed: str | None
    reason: str

    def __str__(self) -> str:
        """The finding in words, with what to install."""
        names = ", ".join(f"{n} {v or 'not installed'}" for n, v in self.versions.items())
        if self.works:
            return f"TorchForce works: {names}"
        return (
            f"TorchForce fails at {self.failed}: {names}\n{self.reason}\n"
            f"versions that work together, in an environment of their own: pip install {_TRIED}\n"
            "openmm_ace.create_force needs OpenMM alone and is as fast on a CPU."
        )


def check_torchforce(timeout: float = 300.0) -> TorchForceCheck:
    """Try a TorchForce in a process of its own: evaluated, copied, written as XML and read back.

    Versions that do not fit often import without complaint and fail, or end the process, at the
    first evaluation or copy.

    Args:
        timeout: seconds for the process, which loads torch.
    """
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.py"  # a file, because TorchScript reads its source
        probe.write_text(_PROBE)
        command = [sys.executable, str(probe), str(Path(folder) / "trap.pt")]
        said, reason = _answer(command, timeout)
    passed = [stage for stage in _STAGES if stage in said.splitlines()]
    failed = next((stage for stage in _STAGES if stage not in passed), "exit" if reason else None)
    return TorchForceCheck(failed is None, _versions(), failed, reason)


def _answer(command: list[str], timeout: float) -> tuple[str, str]:
    """What a process says, and why it ended if that was no success."""
    try:
        done = subprocess.check_output(command, stderr=subprocess.STDOUT, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        return (late.output or b"").decode(errors="replace"), f"no answer within {timeout:.0f} s"
    except subprocess.CalledProcessError as error:
        said = error.output.decode(errors="replace")
        if error.returncode < 0:
            return said, f"the process was ended by {signal.Signals(-error.returncode).name}"
        return said, (said.strip().splitlines() or ["it said nothing"])[-1]
    return done.decode(errors="replace"), ""


def _versions() -> dict[str, str | None]:
    names = [name for name in _WHEELS if _version(name)] or [_WHEELS[-1]]
    return {name: _version(name) for name in ("openmm", "torch", *names)}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
