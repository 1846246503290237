"""The site has every page of the documentation, and is built without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"


def test_every_page_is_reached_from_the_first_one() -> None:
    named = set(re.findall(r"^pages/(\S+)$", (SITE / "index.md").read_text(), re.MULTILINE))
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages - named == set()
    made = {"readme", "changes", "interface", "ipi_driver", "*_ace", "example_*"}
    assert named - pages == made


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    words = ["-q", "-W", "--keep-going", "-b", "html", str(SITE), str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words], capture_output=True, text=True, check=False,
        env=os.environ | {"ACEPOT_SITE_EXAMPLES": "03_basis 07_uncertainty"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = tmp_path / "site" / "pages"
    assert "order 3, degree 16: 684" in (pages / "example_03_basis.html").read_text()
    assert "example_07_uncertainty_1.png" in (pages / "example_07_uncertainty.html").read_text()
    assert (tmp_path / "site" / "pages" / "interface.html").stat().st_size > 50_000
