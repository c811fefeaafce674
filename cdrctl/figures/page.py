"""The page of a report: one HTML file without scripts, which requests nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cdrctl.figures.charts import html_of

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#59636e;--line:#d1d9e0;--accent:#0a5ad1;
--c0:#1a7f37;--c1:#8250df;--c2:#bf3989;--c3:#6e7781;--c4:#bc4c00;--c5:#9a6700;--c6:#0969da;--c7:#57606a}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9198a1;--line:#3d444d;--accent:#6cb6ff;
--c0:#3fb950;--c1:#a371f7;--c2:#f778ba;--c3:#8b949e;--c4:#f0883e;--c5:#d29922;--c6:#58a6ff;--c7:#b1bac4}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:48rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%;font-size:.9rem}caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
td.number{text-align:right}
thead th{font-weight:600}tbody th{font-weight:400}.wide{overflow-x:auto}figure{margin:1rem 0}figcaption{font-weight:600}
svg{width:100%;height:auto}svg text{font-size:12px;fill:var(--soft);text-anchor:middle}svg text.scale{text-anchor:end}
svg line{stroke:var(--line)}.heat{fill:var(--accent)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1rem;padding:0}
.swatch{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem}.note{color:var(--soft)}summary{cursor:pointer}
.s0{fill:var(--c0);background:var(--c0)}.s1{fill:var(--c1);background:var(--c1)}.s2{fill:var(--c2);background:var(--c2)}
.s3{fill:var(--c3);background:var(--c3)}.s4{fill:var(--c4);background:var(--c4)}.s5{fill:var(--c5);background:var(--c5)}
.s6{fill:var(--c6);background:var(--c6)}.s7{fill:var(--c7);background:var(--c7)}.s8{fill:var(--c3);background:var(--c3)}
.s9{fill:var(--c7);background:var(--c7)}
@media print{:root{color-scheme:light}body{margin:0;max-width:none}figure,tr{break-inside:avoid}details{display:none}}
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page may load nothing, and run nothing."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Args:
        title: Its heading.
        html: Its content, escaped.
        note: What a reader must know about it, or why it is empty.
    """

    title: str
    html: str = ""
    note: str = ""


def page(title: str, about: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the whole page.

    Args:
        title: Its title.
        about: The lines below the title.
        sections: Its sections, in order.
    """
    body = "".join(
        f'<section aria-labelledby="h{at}"><h2 id="h{at}">{html_of(one.title)}</h2>'
        + (f'<p class="note">{html_of(one.note)}</p>' if one.note else "")
        + f"{one.html}</section>"
        for at, one in enumerate(sections)
    )
    lines = "".join(f"<p>{html_of(line)}</p>" for line in about)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_of(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html_of(title)}</h1>{lines}{body}</main></body></html>\n"
    )
