"""The machine that a table was made on."""

from __future__ import annotations

from datetime import date
from pathlib import Path


def machine() -> str:
    """The processor, where the system says, and the date."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {date.today().isoformat()}"
