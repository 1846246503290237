"""One line of progress with the time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

#: Seconds between two updates on a terminal, and in a log file.
_LIVE, _LOGGED = 0.3, 15.0


class Progress:
    """Counts towards a total and says how long the rest will take.

    Nothing is shown for work that is over within a second.

    Args:
        what: name of the work, at the start of the line.
        total: number of steps.
        stream: where to write; None: standard error.
    """

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self._what = what
        self._total = max(total, 1)
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._begin = self._last = time.monotonic()
        self._shown = False

    def update(self, done: int) -> None:
        """Show that `done` of the steps are finished."""
        now = time.monotonic()
        last = done >= self._total
        pause = _LIVE if self._live else _LOGGED
        if now - self._begin < 1.0 or (now - self._last < pause and not (last and self._shown)):
            return
        self._last, self._shown = now, True
        elapsed = now - self._begin
        left = elapsed / max(done, 1) * (self._total - done)
        state = f"done in {_clock(elapsed)}" if last else f"{_clock(left)} left"
        text = f"{self._what}: {done}/{self._total} ({100 * done // self._total} %), {state}"
        end = "\n" if last or not self._live else ""
        self._stream.write(f"\r\x1b[K{text}{end}" if self._live else f"{text}\n")
        self._stream.flush()


def _clock(seconds: float) -> str:
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
