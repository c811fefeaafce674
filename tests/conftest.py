from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import loopback_only


@pytest.fixture(autouse=True, scope="session")
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test see, or change, the profiles and settings of whoever runs it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            ours = name.startswith("CDRCTL_") and name != "CDRCTL_WRITE_TABLES"
            if ours or name.startswith("XDG_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("USERPROFILE", str(home))
        yield


@pytest.fixture(autouse=True)
def _stay_on_this_machine() -> Iterator[None]:
    """Let no test reach beyond this machine."""
    with loopback_only():
        yield
