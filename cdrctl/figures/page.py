"""The page of a report: one HTML file without scripts, which requests nothing."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from cdrctl.figures.charts import html_of

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#59636e;--line:#d1d9e0;--card:#f6f8fa;--accent:#0a5ad1;
--c0:#1a7f37;--c1:#8250df;--c2:#bf3989;--c3:#0f7b83;--c4:#bc4c00;--c5:#9a6700;--c6:#0969da;--c7:#cf222e;--c8:#57606a;--c9:#8c959f}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#9198a1;--line:#3d444d;
--card:#151b23;--accent:#6cb6ff;
--c0:#3fb950;--c1:#a371f7;--c2:#f778ba;--c3:#56c5cf;--c4:#f0883e;--c5:#d29922;--c6:#58a6ff;--c7:#ff7b72;--c8:#b1bac4;--c9:#6e7681}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;margin:2rem auto;
padding:0 1rem;overflow-wrap:anywhere}
header{border-bottom:3px solid var(--accent);margin-bottom:1.5rem}h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem}
header p{margin:.2rem 0;color:var(--soft)}header p:last-child{margin-bottom:1rem}
h2{font-size:1.25rem;margin:0 0 .6rem}section{margin:0 0 2.5rem}.note{color:var(--soft);margin:.4rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:.75rem;margin:0}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}
.cards dt{font-size:.9rem;color:var(--soft)}.cards dd{margin:0}.cards .value{font-size:1.5rem;font-weight:600;
line-height:1.3}.cards .of{font-size:.85rem;color:var(--soft)}
@media(min-width:44rem){.cards{grid-template-columns:repeat(3,1fr)}}
.warning{border-left:4px solid var(--c4);background:var(--card);padding:.6rem 1rem;margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;overflow-wrap:break-word}
caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th.number,td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.number+td{padding-left:.75rem}thead th{font-weight:600}tbody th{font-weight:400;min-width:7rem}td{max-width:24rem}
.wide{overflow-x:auto}
figure{margin:1rem 0 .5rem}figcaption{font-weight:600;margin-bottom:.3rem}
svg{display:block;width:100%;min-width:34rem;height:auto}
svg text{font-size:12px;fill:var(--soft);text-anchor:middle}svg text.scale{text-anchor:end}
svg text.value{fill:var(--ink)}svg line{stroke:var(--line)}.heat{fill:var(--accent)}
.bar{stroke:var(--paper);stroke-width:.5}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1rem;padding:0;margin:.5rem 0;font-size:.9rem}
.swatch{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;print-color-adjust:exact;
-webkit-print-color-adjust:exact}
details{margin:.3rem 0}summary{cursor:pointer;color:var(--accent);padding:.2rem 0}
details th,details td{padding-right:.5rem}details tbody th{white-space:nowrap;min-width:0}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
footer{border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}
.s0{fill:var(--c0);background:var(--c0)}.s1{fill:var(--c1);background:var(--c1)}.s2{fill:var(--c2);background:var(--c2)}
.s3{fill:var(--c3);background:var(--c3)}.s4{fill:var(--c4);background:var(--c4)}.s5{fill:var(--c5);background:var(--c5)}
.s6{fill:var(--c6);background:var(--c6)}.s7{fill:var(--c7);background:var(--c7)}.s8{fill:var(--c8);background:var(--c8)}
.s9{fill:var(--c9);background:var(--c9)}
@page{margin:15mm}
@media print{:root{color-scheme:light}body{font-size:11pt;margin:0;max-width:none;padding:0}
figure,tr,.cards div,.warning{break-inside:avoid}h2,.note,figcaption,caption{break-after:avoid}
thead{display:table-header-group}
.wide{overflow:visible}svg{min-width:0}details{display:none}td{max-width:none}
.cards{grid-template-columns:repeat(3,1fr)}
.cards div,.warning{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

LONGEST = 2000
"""The longest note."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page may load nothing, and run nothing."""


class Section(Struct, frozen=True):
    """A part of a report.

    Args:
        title: Its heading.
        html: Its content, escaped.
        note: What a reader must know about it, or why it is empty.
        warning: The note warns of numbers that are missing.
        said: The warning that the command prints about it; empty for none.
    """

    title: str
    html: str = ""
    note: str = ""
    warning: bool = False
    said: str = ""


def page(title: str, about: Sequence[str], sections: Sequence[Section], foot: str) -> str:
    """Return the whole page.

    Args:
        title: Its title.
        about: The lines below the title.
        sections: Its sections, in order.
        foot: The line at its end.
    """
    body = "".join(
        f'<section aria-labelledby="h{at}"><h2 id="h{at}">{html_of(one.title)}</h2>'
        + (f'<p class="{"warning" if one.warning else "note"}">{html_of(one.note, LONGEST)}</p>' if one.note else "")
        + f"{one.html}</section>"
        for at, one in enumerate(sections)
    )
    lines = "".join(f"<p>{html_of(line)}</p>" for line in about)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_of(title)}</title><style>{_STYLE}</style></head>"
        f"<body><header><h1>{html_of(title)}</h1>{lines}</header><main>{body}</main>"
        f"<footer><p>{html_of(foot)}</p></footer></body></html>\n"
    )
