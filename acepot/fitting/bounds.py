"""Bounds of settings that are numbers."""

from __future__ import annotations

from acepot.errors import InputError

#: Largest setting: squares of larger ones would overflow; and the smallest that may be squared.
LARGEST, SMALLEST = 1e50, 1e-50


def at_least(
    name: str, value: float, least: float = 0.0, *, above: bool = False, most: float = LARGEST
) -> None:
    """Check a number.

    Args:
        name: of the setting, for the message.
        value: what was given.
        least: the smallest that is allowed.
        above: whether it must be larger than that.
        most: the largest that is allowed.

    Raises:
        InputError: it is outside.
    """
    if not least <= value <= most or (above and value == least):
        wanted = f"more than {least:g}" if above else f"{least:g} or more"
        limit = f", up to {most:g}" if value > most else ""
        raise InputError(f"{name}: expected {wanted}{limit}, got {value}")
