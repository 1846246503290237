"""One reference process, its time-out and its end."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from acepot.hal.reference.job import ReferenceError

__all__ = ["Process"]

#: Seconds that a calculator may take to be made.
_READY = 300.0
#: Bytes of what a process printed that a message shows.
_SHOWN = 500


class Process:
    """A process that evaluates structures, started anew when it has ended.

    Args:
        name: of the calculator.
        keywords: of its class.
        folder: in which it works, with what it prints in `output.txt`.
    """

    def __init__(self, name: str, keywords: Mapping[str, Any], folder: Path) -> None:
        self._name, self._keywords, self._folder = name, dict(keywords), folder
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def evaluate(self, asked: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """The answer to a request.

        Args:
            asked: atoms and cell.
            timeout: in seconds; afterwards the process is ended, with all it has started.

        Raises:
            ReferenceError: the process ended, took too long, or cannot be made.
        """
        if self._process is None:
            self._start()
        return self._asked(asked, timeout)

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()
        self._process, self._rest = None, b""

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "output.txt").open("ab") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "acepot.hal.reference.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                cwd=self._folder,
                start_new_session=True,
            )
        made = self._asked({"name": self._name, "keywords": self._keywords}, _READY)
        if "error" in made:
            self.close()
            raise ReferenceError(f"reference {self._name!r} cannot be made: {made['error']}")

    def _asked(self, asked: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None:
            raise ReferenceError(f"reference {self._name!r}: its process has not begun")
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
            line = self._line(timeout)
        except BrokenPipeError:
            line = b""
        if line is None:
            self.close()
            raise ReferenceError(
                f"reference {self._name!r} took longer than {timeout:g} s and was ended "
                "(reference.timeout)"
            )
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            said = self._said()
            process.wait()
            status = process.returncode
            self.close()
            raise ReferenceError(
                f"reference {self._name!r} ended with status {status} in the middle of a "
                f"calculation{said}"
            ) from None
        return answer

    def _line(self, timeout: float) -> bytes | None:
        """The next line of the process; b"": it has ended; None: it took too long."""
        process = self._process
        if process is None or process.stdout is None:
            return b""
        end, descriptor = time.monotonic() + timeout, process.stdout.fileno()
        with selectors.DefaultSelector() as chosen:
            chosen.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                left = end - time.monotonic()
                if left <= 0 or not chosen.select(left):
                    return None
                part = os.read(descriptor, 1 << 16)
                if not part:
                    return b""
                self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _said(self) -> str:
        """The end of what it printed, for a message."""
        try:
            text = (self._folder / "output.txt").read_bytes()[-_SHOWN:].decode(errors="replace")
        except OSError:
            return ""
        last = " ".join(text.split())
        return f"; it said: {last}" if last else ""
