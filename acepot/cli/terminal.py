"""Text for people, on whatever terminal they have."""

from __future__ import annotations

import io
import os
import sys


def prepare() -> None:
    """Let a terminal that lacks Å or ε show their codes instead of an error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def show(text: str) -> None:
    """Print lines at once, also into a pipe."""
    sys.stdout.write(_harmless(text) + "\n")
    sys.stdout.flush()


def forget_output() -> None:
    """What is not written yet would be refused once more, and loudly, when Python ends."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def complain(text: str, *, after: str = "") -> None:
    """Print one line about something that went wrong, after what ends a line of progress."""
    sys.stderr.write(f"{after}acepot: {_harmless(' '.join(text.split()))}\n")


def _harmless(text: str) -> str:
    """The text with control characters written out: names in files must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
