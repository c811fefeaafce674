"""The errors that the page of a provider explains, as the program words them."""

from __future__ import annotations

import re

import httpx

from cdrctl.errors import CdrctlError
from cdrctl.fetchers import Provider, connect
from cdrctl.http import Request
from tools.docs.bad_answers import CASES, HOSTS, Case
from tools.docs.markdown import plain, table
from tools.docs.providers import STILL


def errors_table(provider: Provider) -> str:
    """Return a table of errors with message, exit code, cause and next step."""
    rows = []
    for case in CASES[provider.name]:
        error = error_of(provider, case)
        rows.append([plain(error.message), str(error.exit_code), plain(case.why), plain(case.cure or error.hint or "")])
    return table(("message", "exit code", "cause", "what to do"), rows)


def error_of(provider: Provider, case: Case) -> CdrctlError:
    """Return the error that ends a run if every attempt gets the response."""
    url = HOSTS[provider.name]
    needs = dict.fromkeys(next(iter(provider.auth_methods.values())), "somebody")
    required = {"account_id": "0123"} if "account_id" in provider.settings.described() else {}
    settings = provider.settings.of({"base_url": url, **required, **needs})

    def answer(request: httpx.Request) -> httpx.Response:
        signing = re.search("/(api_auth|auth/sign_in)$", request.url.path) is not None
        if signing and not case.signing:
            return httpx.Response(201, json=SIGNED)
        return httpx.Response(case.status, json=case.body if case.body is not None else {})

    client = connect(
        provider,
        settings,
        clock=STILL,
        log=lambda _level, _text: None,
        conceal=lambda _secrets: None,
        transport=httpx.MockTransport(answer),
    )
    try:
        client.ask(Request("POST", url + case.path, json={"params": {}}))
    except CdrctlError as error:
        return error
    raise ValueError(f"{provider.name} does not mind {case}")


SIGNED = {"status": "success", "auth_token": "a", "data": {}, "access_token": "a", "expires_in": 3600}
"""The response to a sign-in, if the error concerns another request."""
