from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
import typer.main

from cdrctl.cli import app


@pytest.fixture(autouse=True, scope="session")
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust one authority instead of all: reading all of them is half of what a small export takes."""
    end = "-----END CERTIFICATE-----\n"
    first = Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end
    bundle = tmp_path_factory.mktemp("authorities") / "one.pem"
    bundle.write_text(first, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(bundle))
        yield


@pytest.fixture(autouse=True, scope="session")
def _built_once() -> Iterator[None]:
    """Build the commands once and not for every run: they are the same, and a third of what a run takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        patch.setattr(app, "_provider_commands", functools.cache(app._provider_commands))
        yield
