"""How Sphinx builds these pages: `sphinx-build -W -b html docs FOLDER`. Nothing is fetched."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pygments.lexers.shell import BashLexer  # noqa: E402 - the path comes first
from pygments.lexers.special import TextLexer  # noqa: E402 - as above

from cdrctl import __version__  # noqa: E402
from tools.docs import reference  # noqa: E402

project = "cdrctl"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["man"]
myst_heading_anchors = 3
language = "en"
smartquotes = False

html_theme = "furo"
html_title = f"cdrctl {__version__}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_extra_path = ["flame.svg"]

linkcheck_ignore = [r"https?://.*"]  # the build asks nobody


def to_the_root(_app: Any, _page: str, source: list[str]) -> None:
    """Let links to the files of the root lead to their pages; on a code host they lead to the files."""
    for name, page in reference.OF_THE_ROOT.items():
        source[0] = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}", f"](/reference/{page}.md", source[0])


def setup(app: Any) -> None:
    """Make the reference from the program, and name the languages that Pygments has no lexer of that name for."""
    app.connect("source-read", to_the_root)
    reference.write_reference(Path(app.srcdir) / "reference")
    app.add_lexer("crontab", BashLexer)
    app.add_lexer("logrotate", TextLexer)
