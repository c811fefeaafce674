"""Write to an output, and list the files that exist afterwards."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

NO_STDOUT = io.BytesIO()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def run(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    program = f"import sys\nfrom cdrctl.writers.output import check, output\n{code}"
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False, stderr=subprocess.PIPE, **options)
