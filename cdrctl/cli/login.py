"""A sign-in with a browser, seen from the terminal: the address, the browser, the wait, and what is pasted instead."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cdrctl.cli.connecting import connected, token_store
from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError, ConfigurationError, SignInError, UsageError
from cdrctl.http import oauth

if TYPE_CHECKING:
    from cdrctl.fetchers import Provider
    from cdrctl.http import Answer, Request, Token
    from cdrctl.http.oauth import Attempt
    from cdrctl.profiles.file import Profile

TIMES = 3
"""How often somebody may paste the wrong thing."""

Asked = Callable[..., str]
"""Returns what somebody types after a question, hidden where it is a secret."""


@dataclass(frozen=True, slots=True)
class How:
    """How the browser and the program find each other.

    Args:
        paste: By hand: somebody copies the address that the browser ended on.
        no_browser: Nobody opens a browser but the user.
        port: Instead of the one in the profile's redirect URI, or None.
        redirect_uri: Instead of the profile's, or None.
        seconds: How long to wait for the browser.
    """

    paste: bool
    no_browser: bool
    port: int | None
    redirect_uri: str | None
    seconds: float


def sign_in(opened: Session, provider: Provider, profile: Profile, how: How, asked: Asked) -> str:
    """Return what was found when somebody had signed in; the tokens are kept where every run looks for them.

    Nothing is kept of a sign-in that does not get so far that call history may be read.

    Raises:
        UsageError: The provider has no sign-in with a browser; the port or redirect URI cannot be used.
        ConfigurationError: The profile has no client_id or client_secret; the tokens could not be kept.
        SignInError: It was denied or not accepted, or nobody came in time.
        CdrctlError: What the provider said to the first request. Unless that is a SignInError the tokens are kept.
    """
    login = provider.login
    if login is None:
        ways = ", or ".join(" and ".join(names) for names in provider.auth_methods.values())
        raise UsageError(
            f"{provider.title} has no sign-in with a browser",
            hint=f"it signs in with {ways}: cdrctl profile add NAME --provider {provider.name}",
        )
    opened.reporter.left_behind = f"nothing was kept, profile {profile.name} is as it was"
    came: list[tuple[Attempt, str]] = []
    given: list[Token] = []

    def with_code(settings: Any, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
        if ended is not None:
            raise SignInError(f"{provider.title} does not accept the token that it has just given", hint="run it again")
        token = yield from login.exchange(settings, *came[0], now)
        given.append(token)
        return token

    with connected(opened, replace(provider, sign_in=with_code, keeps_tokens=False), profile.name, profile) as at:
        settings: Any = at.settings
        assert at.client is not None  # noqa: S101 - connected() has one
        if missing := [name for name in provider.auth_methods[login.way] if not getattr(settings, name)]:
            keys = " and ".join(missing)
            raise ConfigurationError(
                f"profile {profile.name} has no {keys}, which a sign-in with a browser needs",
                hint=f"set {keys} in {profile.path}; they are those of the integration",
            )
        alone = settings.model_copy(update={"access_token": None})  # whose place the sign-in takes
        store = token_store(opened, provider, profile, alone)
        assert store is not None  # noqa: S101 - a login has tokens to keep, and the profile is complete
        with store.locked():  # proves that they can be kept, before anybody takes the trouble; the lock is for later
            pass
        attempt = oauth.begin(_redirect_uri(settings.redirect_uri, how))
        opened.reporter.conceal([attempt.verifier])
        code = _code(opened, provider, login.page(settings, attempt), attempt, how, asked)
        opened.reporter.conceal([code])
        came.append((attempt, code))
        try:
            found = provider.check(at.client, settings)
        except SignInError as error:
            error.message += "; nothing of this sign-in was kept"
            raise
        except CdrctlError:
            if given:
                _keep(opened, store, given[-1])
            raise
        _keep(opened, store, given[-1])
    return f"{profile.name} ({provider.title}): signed in; {opened.reporter.clean(found)}"


def _keep(opened: Session, store: Any, token: Token) -> None:
    with store.locked():
        store.save(token.plain())
    opened.reporter.left_behind = "the sign-in is kept"
    opened.reporter.log("note", f"signed in; the token is in {store.path} and is renewed by itself")


def _redirect_uri(usual: str, how: How) -> str:
    """Return the redirect URI of this sign-in."""
    uri = how.redirect_uri or usual
    try:
        uri = oauth.checked(uri)
    except ValueError as error:
        raise UsageError(f"--redirect-uri: {error}", hint="give it as it is registered with the integration") from None
    if how.port is None:
        return uri
    if oauth.port_of(uri) is None:
        raise UsageError(f"--port is for a redirect URI on this machine, not for {uri}", hint="use --redirect-uri")
    return oauth.with_port(uri, how.port)


def _code(opened: Session, provider: Provider, page: str, attempt: Attempt, how: How, asked: Asked) -> str:
    """Return the code that the browser comes back with, or that somebody pastes."""
    why = None
    if not how.paste and oauth.port_of(attempt.redirect_uri) is None:
        why = f"{attempt.redirect_uri} is not on this machine"
    elif not how.paste and not how.no_browser and not has_browser(opened.process.environ):
        why = "no browser was found here (--no-browser waits for one that you open)"
    if how.paste or why:
        if why:
            opened.reporter.log("note", why)
        _show(opened, f"open this address in any browser and sign in to {provider.title}:", page)
        opened.reporter.log(
            "note",
            f"the browser ends on {attempt.redirect_uri}?…, which it may say it cannot open: copy that whole address",
        )
        return _pasted(opened, attempt, asked)
    from cdrctl.http.callback import listening

    strangers: list[str] = []

    def stranger() -> None:
        if not strangers:
            opened.reporter.log("warning", "an answer that is not for this sign-in came and was refused; still waiting")
        strangers.append("one")

    with ExitStack() as stack:
        try:
            wait = stack.enter_context(listening(attempt, stranger))
        except OSError as error:
            port = oauth.port_of(attempt.redirect_uri)
            raise UsageError(
                f"port {port} on {oauth.LOOPBACK} cannot be listened on: {error.strerror}",
                hint="choose another with --port, and register its redirect URI with the integration; or use --paste",
            ) from None
        _show(opened, f"sign in to {provider.title} at this address:", page)
        if not how.no_browser:
            threading.Thread(target=_open, args=(opened, page), daemon=True).start()
        opened.reporter.log("note", f"waiting for the browser to come to {attempt.redirect_uri}; Ctrl-C ends it")
        try:
            return wait(how.seconds)
        except TimeoutError:
            raise SignInError(
                f"nobody has signed in within {how.seconds:.0f} s",
                hint="run it again; --wait 15m waits longer, --paste needs no browser on this machine",
            ) from None


def _pasted(opened: Session, attempt: Attempt, asked: Asked) -> str:
    """Return the code in what somebody pastes; on a terminal what is wrong is asked for again."""
    for left in reversed(range(TIMES)):
        text = asked(opened, "paste the address, or the code in it (it is not shown)", secret=True)
        try:
            return oauth.pasted(text, attempt)
        except oauth.StrangerError:
            why = "that address is of another sign-in"
        except ValueError as error:
            why = str(error)
        if not left or not opened.process.stdin_is_terminal:
            break
        opened.reporter.log("warning", why)
    raise SignInError(why, hint="run it again, and paste the address that the browser ended on")


def _show(opened: Session, text: str, page: str) -> None:
    """Print what must be read even with --quiet: the address, on a line of its own, to be copied whole."""
    stream = opened.process.stderr
    if stream is None:
        return
    page = opened.reporter.clean(page)
    lines = (
        json.dumps({"level": "note", "message": text, "url": page}) if opened.reporter.as_json else f"{text}\n{page}"
    )
    with suppress(OSError, ValueError):  # nobody listens: the exit code still speaks
        stream.write(f"{lines}\n" if opened.reporter.as_json else f"cdrctl: {lines}\n")
        stream.flush()


def has_browser(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Return whether a browser can be opened that whoever types would see."""
    if environ.get("BROWSER"):
        return True
    screen = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    if platform in {"win32", "cygwin", "darwin"}:
        return screen or not environ.get("SSH_CONNECTION")
    if not screen:
        return False
    import webbrowser  # looks for every browser there is

    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _open(opened: Session, page: str) -> None:
    """Open the page, in a thread of its own: some browsers come back only when they are closed."""
    import webbrowser  # looks for every browser there is

    came_up = False
    with suppress(webbrowser.Error, OSError, ValueError):
        came_up = webbrowser.open(page)
    if not came_up:
        opened.reporter.log("note", "no browser could be opened: open that address in one yourself")
