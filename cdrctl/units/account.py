"""Which account a profile points to, as far as its settings show."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from cdrctl.archive.owner import Account
from cdrctl.digests import rounds_for
from cdrctl.fetchers import Provider
from cdrctl.http.addresses import is_loopback

LOOPBACK = "loopback"
SANDBOX = "sandbox"
USUAL_PORTS = {"http": 80, "https": 443}


def account_of(provider: Provider, settings: Any, *, sandbox: bool = False) -> Account:
    """Return the account of a profile's settings.

    Args:
        provider: The provider.
        settings: The profile's settings.
        sandbox: It is the built-in sandbox, whose address is another one on every run.
    """
    parts = urlsplit(settings.base_url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = "" if parts.port in {None, USUAL_PORTS.get(parts.scheme.lower())} else f":{parts.port}"
    named = {name: _text(getattr(settings, name)) for name in provider.account_settings}
    keys = [_text(getattr(settings, name)) for name in provider.key_settings]
    if sandbox:
        return Account(provider.name, SANDBOX, named)
    rounds = rounds_for(keys)
    local = is_loopback(settings.base_url)
    if local:
        keys.append(port)
    key = json.dumps(keys) if any(keys) else ""
    name = LOOPBACK if local else f"{host}{port}"
    return Account(
        provider.name,
        name,
        {one: value for one, value in named.items() if value},
        key,
        rounds,
        lambda other: provider.allows_url(settings, f"https://{other}/"),
    )


def _text(value: Any) -> str:
    secret = getattr(value, "get_secret_value", None)
    return "" if value is None else str(secret() if secret is not None else value)
