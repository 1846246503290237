"""The documentation as a site: pages of docs/, the examples, and the interface from docstrings."""

import importlib
import inspect
import re
import shutil
import sys
from pathlib import Path

import acepot

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import outputs  # noqa: E402

DOCS = HERE.parent
ROOT = DOCS.parent

project = "acepot"
author = "The acepot developers"
copyright = "The acepot developers"
version = release = acepot.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "acepot"
exclude_patterns = ["build"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
nitpicky = False
#: Fences of languages that have no lexer, and headings that begin at the second level.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]

#: Where pages of other folders are in this site.
ENGINES = ("ase_ace", "openmm_ace", "ipi_driver", "lammps_ace", "torch_ace", "kim_ace")


def _pages(into: Path) -> None:
    """Copy every page, with its links turned to where the others are."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    for page in DOCS.glob("*.md"):
        _copy(page, into / page.name)
    _copy(ROOT / "README.md", into / "readme.md", "First steps")
    for name in ENGINES:
        if (ROOT / name / "README.md").exists():
            _copy(ROOT / name / "README.md", into / f"{name}.md")
    _copy(ROOT / "CHANGELOG.md", into / "changes.md")
    for example in sorted((ROOT / "examples").glob("[0-9]*.py")):
        text = example.read_text(encoding="utf-8")
        title = inspect.cleandoc(text.split('"""')[1]).partition("\n")[0].rstrip(".")
        (into / f"example_{example.stem}.md").write_text(
            f"# {title}\n\n```python\n{text}```\n{outputs.section(example, into)}",
            encoding="utf-8",
        )


#: [words](page#anchor) of a file of the repository.
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^)#:\s]+)((?:#[^)]*)?)\)")


def _copy(page: Path, target: Path, title: str = "") -> None:
    text = page.read_text(encoding="utf-8")
    if title:
        text = f"# {title}\n{text.partition(chr(10))[2]}"
    target.write_text(_LINK.sub(lambda m: _link(page, *m.groups()), text), encoding="utf-8")


def _link(page: Path, words: str, target: str, anchor: str) -> str:
    """A link from a page of the repository as one of the site."""
    there = (page.parent / target).resolve()
    if there.parent == DOCS and there.suffix == ".md":
        return f"[{words}]({there.name}{anchor})"
    if there == ROOT / "README.md":
        return f"[{words}](readme.md)"
    if there.name == "README.md" and there.parent.name in ENGINES:
        return f"[{words}]({there.parent.name}.md)"
    if there.is_file() and there.suffix in (".png", ".svg"):
        copied = HERE / "pages" / f"{there.parent.name}_{there.name}"
        shutil.copy(there, copied)
        return f"[{words}]({copied.name})"
    where = there.relative_to(ROOT)
    return f"`{where}`" if words == str(where) else f"{words} (`{where}`)"


def _interface(into: Path) -> None:
    """A page of every public name, from the docstrings."""
    lines = ["# Interface", "", "Everything that `import acepot` offers.", ""]
    for name in sorted({*acepot.__all__, "AceModule", "SiteModule"} - {"AceError"}):
        home = importlib.import_module(acepot._HOMES[name])
        kind = "autoclass" if inspect.isclass(getattr(home, name)) else "autofunction"
        lines += [f"## {name}", "", "```{eval-rst}", f".. {kind}:: {home.__name__}.{name}"]
        lines += ["   :members:"] * (kind == "autoclass") + ["```", ""]
    lines += [
        "## Errors",
        "",
        "```{eval-rst}",
        ".. automodule:: acepot.errors",
        "   :members:",
        "```",
    ]
    (into / "interface.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


_pages(HERE / "pages")
_interface(HERE / "pages")
