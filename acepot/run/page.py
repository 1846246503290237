"""One HTML page: everything inside, nothing from elsewhere; light or dark, wide or narrow."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["charts", "page", "table"]

_LIGHT = (
    "--paper:#fff;--ink:#222;--faint:#666;--line:#ccc;--shade:#f3f3f3;--bad:#b3261e;"
    "--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#e69f00;--c5:#56b4e9;--c6:#8c8c8c;"
    "--c7:#333"
)
_DARK = (
    "--paper:#15171a;--ink:#ddd;--faint:#999;--line:#444;--shade:#22252a;--bad:#ff8a80;"
    "--c0:#4aa8e0;--c1:#ff8c42;--c2:#2bc79a;--c3:#e29ac2;--c4:#ffc04d;--c5:#8fd0f5;--c6:#9a9a9a;"
    "--c7:#ddd"
)
_STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT}}}"
    f"@media(prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    "body{font:15px/1.45 sans-serif;background:var(--paper);color:var(--ink);"
    "margin:1.5em auto;padding:0 1em;max-width:1000px}"
    "h1{font-size:1.3em}h2{font-size:1.1em;margin:1.6em 0 .4em}"
    ".charts{display:grid;gap:1em;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr))}"
    "svg{width:100%;height:auto;max-width:560px}svg text{font:11px sans-serif;fill:var(--ink)}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.92em}"
    "td,th{padding:.15em .9em .15em 0;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid var(--line)}th{color:var(--faint);font-weight:normal}"
    "td:first-child,th:first-child{text-align:left}"
    "p.wrong{color:var(--bad);font-weight:bold}p.strange{color:var(--bad)}.faint{color:var(--faint)}"
    "p,li{overflow-wrap:anywhere}img{max-width:100%}"
)


def page(title: str, body: Sequence[str], *, again: float | None = None) -> str:
    """A page of HTML.

    Args:
        title: of the window.
        body: HTML of its parts.
        again: seconds after which a browser loads it anew; None: never.
    """
    refresh = "" if again is None else f'<meta http-equiv="refresh" content="{again:.0f}">'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"{''.join(body)}</body></html>\n"
    )


def charts(parts: Sequence[str]) -> str:
    """Charts beside each other where there is room, else below each other."""
    return f'<div class="charts">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, which scrolls by itself where it is wider than the page.

    Args:
        head: names of the columns.
        rows: texts of its cells.
    """
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{lines}</table></div>'
