"""How much memory this process may still take: the machine's, a container's, a limit's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["free_memory"]

#: Where the kernel says what is free; what the control group of the process allows and holds, and
#: how much of that are copies of files, which give way.
_MEMINFO = Path("/proc/meminfo")
_GROUPS = (
    (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory.current"),
        Path("/sys/fs/cgroup/memory.stat"),
    ),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.stat"),
    ),
)


def free_memory() -> int | None:
    """Bytes that can be taken before the machine swaps or the process is ended.

    Returns:
        The smallest of all that is known; None where nothing is.
    """
    return min(_known(), default=None)


def _known() -> Iterator[int]:
    machine = _available()
    if machine is not None:
        yield machine
    for limit, used, parts in _GROUPS:
        most, now = _number(limit), _number(used)
        if most is not None and now is not None:
            yield max(most - now + _giving_way(parts), 0)
    own = _own_limit()
    if own is not None:
        yield own


def _available() -> int | None:
    """What the kernel calls available, or all there is where it does not say."""
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass  # not Linux
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None  # not Unix


def _giving_way(path: Path) -> int:
    """Bytes that a control group holds as copies of files."""
    try:
        lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
        return sum(int(n) for name, n in lines if name in ("active_file", "inactive_file"))
    except (OSError, ValueError):
        return 0


def _own_limit() -> int | None:
    """What `ulimit -v` leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return max(limit - pages * resource.getpagesize(), 0)
    except (ImportError, OSError, ValueError):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # no such group, or "max"
