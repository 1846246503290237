"""One line of progress with the time left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

#: Seconds between two updates on a terminal, and in a log file.
_LIVE, _LOGGED = 0.3, 15.0
#: Seconds without an update after which a terminal is shown that work goes on, and between looks.
_SILENCE, _LOOK = 2.0, 0.2


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
        self._shown, self._done = False, 0
        self._lock = threading.Lock()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Meanwhile the line is shown anew though `update` is not called, so that nobody wonders.

        On a terminal after two seconds without a sign, in a log file as often as always.
        """
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_LOOK):
                with self._lock:
                    now = time.monotonic()
                    if now - self._last >= (_SILENCE if self._live else _LOGGED):
                        self._show(now, False)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def update(self, done: int) -> None:
        """Show that `done` of the steps are finished."""
        with self._lock:
            self._done = done
            now = time.monotonic()
            last = done >= self._total
            pause = _LIVE if self._live else _LOGGED
            if now - self._begin < 1.0:
                return
            if now - self._last >= pause or (last and self._shown):
                self._show(now, last)

    def _show(self, now: float, last: bool) -> None:
        self._last, self._shown = now, True
        elapsed, done = now - self._begin, self._done
        if last:
            state = f"done in {clock(elapsed)}"
        elif done > 0:
            state = f"{clock(elapsed / done * (self._total - done))} left"
        else:
            state = f"{clock(elapsed)} so far"
        text = f"{self._what}: {done}/{self._total} ({100 * done // self._total} %), {state}"
        end = "\n" if last or not self._live else ""
        self._stream.write(f"\r\x1b[K{text}{end}" if self._live else f"{text}\n")
        self._stream.flush()


class Pulse:
    """Shows that one long step is going on, from a thread of its own, while the block lasts.

    Args:
        what: name of the work, at the start of the line.
        expected: seconds that it should take; None: not known.
        stream: where to write; None: standard error.
    """

    def __init__(
        self, what: str, expected: float | None = None, stream: TextIO | None = None
    ) -> None:
        self._what, self._expected = what, expected
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._shown = False

    def __enter__(self) -> Pulse:
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._shown:
            self._write(f"done in {clock(time.monotonic() - self._begin)}", "\n")

    def _beat(self) -> None:
        pause = 1.0
        while not self._ended.wait(pause):
            elapsed, self._shown = time.monotonic() - self._begin, True
            state = clock(elapsed)
            if self._expected is not None and self._expected > elapsed:
                state += f", about {clock(self._expected - elapsed)} left"
            self._write(state, "" if self._live else "\n")
            pause = _LIVE if self._live else _LOGGED

    def _write(self, state: str, end: str) -> None:
        before, text = ("\r\x1b[K" if self._live else ""), f"{self._what}: {state}"
        self._stream.write(f"{before}{text}{end}")
        self._stream.flush()


class Line:
    """One line about work whose end is not known, in words that are found when it is shown.

    Args:
        stream: where to write; None: standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._last, self._shown = time.monotonic(), False

    def is_due(self) -> bool:
        """Whether the line should be shown anew."""
        return time.monotonic() - self._last >= (_LIVE if self._live else _LOGGED)

    def show(self, text: str) -> None:
        """Show it, on a terminal over the one before."""
        self._last, self._shown = time.monotonic(), True
        self._stream.write(f"\r\x1b[K{text}" if self._live else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line: what is written next begins a new one."""
        if self._shown and self._live:
            self._stream.write("\n")
            self._stream.flush()
        self._shown = False


def clock(seconds: float) -> str:
    """Seconds as 0:05, 12:30, 1:02:03."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
