"""What the examples print and draw, made while the site is built.

Each runs as a reader runs it, in a folder of its own under build/examples, and only again when it
or the library has changed. ACEPOT_SITE_EXAMPLES names those that run, by spaces; without it all do.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from acepot.compilation import digest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "examples"
PACKAGES = ("acepot", "ase_ace", "openmm_ace", "ipi_driver", "lammps_ace")
#: Of one example: the first pictures by name.
_PICTURES = 3
#: It waits for a structure of the reader's.
_WITHOUT = ("ace_on_one_page",)


def section(example: Path, pages: Path) -> str:
    """The end of an example's page: its output, and its pictures copied beside the page.

    Args:
        example: the program.
        pages: folder of the page.

    Returns:
        Markdown; "" for an example that was not asked for.

    Raises:
        RuntimeError: the example failed.
    """
    asked = os.environ.get("ACEPOT_SITE_EXAMPLES")
    if example.stem in _WITHOUT or (asked is not None and example.stem not in asked.split()):
        return ""
    made = FOLDER / example.stem
    _run(example, made)
    seconds = (made / "seconds").read_text()
    text = [f"\n## What it prints\n\nIn {seconds} s:\n\n```text\n{_printed(made)}\n```\n"]
    pictures = sorted(made.rglob("*.png"))[:_PICTURES]
    if pictures:
        text.append("\n## What it draws\n")
    for number, picture in enumerate(pictures, 1):
        name = f"example_{example.stem}_{number}.png"
        shutil.copy(picture, pages / name)
        text.append(f"\n![{picture.stem}]({name})\n")
    return "".join(text)


def _run(example: Path, made: Path) -> None:
    """Fill a folder with what an example makes, unless it is there."""
    sources = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    wanted = digest([example, *sources])
    if (made / "digest").is_file() and (made / "digest").read_text() == wanted:
        return
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    begin = time.perf_counter()
    print(f"{example.name} …", file=sys.stderr, flush=True)  # noqa: T201
    done = subprocess.run(
        [sys.executable, str(example)], cwd=made, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{example.name} ended with {done.returncode}\n{done.stderr[-2000:]}")
    (made / "printed").write_text(done.stdout, encoding="utf-8")
    (made / "seconds").write_text(f"{time.perf_counter() - begin:.0f}")
    (made / "digest").write_text(wanted)


def _printed(made: Path) -> str:
    return (made / "printed").read_text(encoding="utf-8").strip("\n")
