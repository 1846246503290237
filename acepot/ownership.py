"""Files that are trusted as the user's own: the cache, whose compiled code runs as the user.

They belong to the user or to root, and so do their folders, and nobody else may write there.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from acepot.errors import InputError


def check_own(path: Path) -> None:
    """Refuse a file or folder that somebody else could have put or changed there, and links.

    Args:
        path: it must be there.

    Raises:
        InputError: it belongs neither to this user nor to root, others may write to it, or it is a
            symbolic link.
        OSError: no such file, no permission.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise InputError(
            f"{path}: a link, and what is in acepot's cache runs as the user; delete it: what it "
            "stands for is made anew"
        )
    user = os.geteuid()
    if status.st_uid not in (user, 0):
        raise InputError(
            f"{path}: belongs to user {status.st_uid}, not to user {user}, and what is in acepot's "
            "cache runs as the user; set ACEPOT_CACHE to a folder of your own"
        )
    others = stat.S_IWOTH if _is_private(status.st_gid) else stat.S_IWOTH | stat.S_IWGRP
    if status.st_mode & others:
        raise InputError(
            f"{path}: others may write to it (mode {stat.S_IMODE(status.st_mode):o}), and what is "
            "in acepot's cache runs as the user; set ACEPOT_CACHE to a folder of your own, or "
            "delete this one: it is made anew"
        )


def make_own(root: Path, folder: Path | None = None) -> None:
    """Make a folder that only this user can write to, unless it is there, and check it.

    Args:
        root: the first folder that has to be the user's own; it may be a link to one.
        folder: `root` or one below it; None: `root`. All between the two are checked.

    Raises:
        InputError: as `check_own`.
        OSError: it cannot be made.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    steps = () if folder is None else folder.relative_to(root).parts
    for k in range(len(steps) + 1):
        step = root.joinpath(*steps[:k])
        step.mkdir(mode=0o700, exist_ok=True)
        check_own(step if k else step.resolve())


def _is_private(group: int) -> bool:
    """Whether a group has this user alone, as many systems make one for each user."""
    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return (
        user.pw_gid == group
        and found.gr_name == user.pw_name
        and found.gr_mem
        in (
            [],
            [user.pw_name],
        )
    )
