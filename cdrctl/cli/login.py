"""Sign in with a browser: show the address, open the browser, and receive the code from it or from the user."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.cli.connecting import connected, token_store
from cdrctl.cli.prompts import ask
from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError, ConfigurationError, SignInError, UsageError
from cdrctl.http import oauth

if TYPE_CHECKING:
    from cdrctl.fetchers import Login, Provider
    from cdrctl.http import Answer, Client, Request, Token
    from cdrctl.http.oauth import Attempt
    from cdrctl.profiles.file import Profile
    from cdrctl.profiles.tokens import TokenFile

PASTE_ATTEMPTS = 3


class LoginOptions(Struct, frozen=True):
    """The options of `cdrctl profile login`.

    Args:
        paste: The user copies the address that the browser ended on.
        no_browser: The user opens the browser.
        port: The port of the redirect URI, or None for the profile's.
        redirect_uri: The redirect URI, or None for the profile's.
        seconds: The time to wait for the browser.
    """

    paste: bool
    no_browser: bool
    port: int | None
    redirect_uri: str | None
    seconds: float


class _Exchange(Struct):
    """The exchange of a code for tokens, in place of the provider's usual sign-in.

    Args:
        provider: The provider.
        login: Its sign-in with a browser.
        attempt: The attempt that the code belongs to, once it has begun.
        code: The code, once it was received.
        token: The token that was issued for it.
    """

    provider: Provider
    login: Login
    attempt: Attempt | None = None
    code: str = ""
    token: Token | None = None

    def sign_in(self, settings: Any, ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
        """Return the token for the code.

        Raises:
            SignInError: The code or the new token is not accepted.
        """
        if ended is not None:
            raise SignInError(
                f"{self.provider.title} does not accept the token that it has just issued", hint="run the command again"
            )
        assert self.attempt is not None  # noqa: S101 - the first request is sent after the code was received
        self.token = yield from self.login.exchange(settings, self.attempt, self.code, now)
        return self.token


def sign_in(opened: Session, provider: Provider, profile: Profile, options: LoginOptions) -> str:
    """Sign in with a browser, store the tokens for all later runs, and return what the first request found.

    If the user may not read call history, nothing is stored.

    Raises:
        UsageError: The provider has no sign-in with a browser; the port or redirect URI cannot be used.
        ConfigurationError: The profile has no client_id or client_secret; the tokens cannot be stored.
        SignInError: The sign-in was denied, not accepted or not finished in time.
        CdrctlError: The first request failed. Unless it is a SignInError, the tokens are stored.
    """
    login = provider.login
    if login is None:
        methods = ", or ".join(" and ".join(names) for names in provider.auth_methods.values())
        raise UsageError(
            f"{provider.title} has no sign-in with a browser",
            hint=f"it signs in with {methods}: cdrctl profile add NAME --provider {provider.name}",
        )
    opened.reporter.left_behind = f"nothing was stored, profile {profile.name} is unchanged"
    exchange = _Exchange(provider, login)
    around = replace(provider, sign_in=exchange.sign_in, keeps_tokens=False)
    with connected(opened, around, profile.name, profile) as at:
        assert at.client is not None  # noqa: S101 - connected() makes one
        settings: Any = at.settings
        store = _writable_store(opened, provider, login, profile, settings)
        exchange.attempt = oauth.begin(_redirect_uri(settings.redirect_uri, options))
        opened.reporter.conceal([exchange.attempt.verifier])
        page = login.page(settings, exchange.attempt)
        exchange.code = _receive_code(opened, provider, page, exchange.attempt, options)
        opened.reporter.conceal([exchange.code])
        found = _check(opened, exchange, at.client, settings, store)
    return f"{profile.name} ({provider.title}): signed in; {opened.reporter.clean(found)}"


def _writable_store(opened: Session, provider: Provider, login: Login, profile: Profile, settings: Any) -> TokenFile:
    """Return the file for the tokens, after proving that it can be written: before the user goes to the browser.

    Raises:
        ConfigurationError: It cannot be written, or the profile has no client_id or client_secret.
    """
    if missing := [name for name in provider.auth_methods[login.way] if not getattr(settings, name)]:
        keys = " and ".join(missing)
        raise ConfigurationError(
            f"profile {profile.name} has no {keys}, which a sign-in with a browser needs",
            hint=f"set {keys} in {profile.path}; they are those of the integration",
        )
    # Without the access token, whose place the sign-in takes.
    store = token_store(opened, provider, profile, replace(settings, access_token=None))
    assert store is not None  # noqa: S101 - the provider stores tokens, and the profile is complete
    with store.locked():
        pass
    return store


def _check(opened: Session, exchange: _Exchange, client: Client, settings: Any, store: TokenFile) -> str:
    """Send the first request and store the tokens; return what it found.

    Raises:
        SignInError: The user may not read call history; nothing is stored.
        CdrctlError: The request failed otherwise; the tokens are stored.
    """
    from cdrctl.fetchers import check_access

    try:
        found = check_access(exchange.provider, client, settings)
    except SignInError as error:
        error.message += "; nothing of this sign-in was stored"
        raise
    except CdrctlError:
        if exchange.token is not None:
            _store(opened, store, exchange.token)
        raise
    assert exchange.token is not None  # noqa: S101 - the request was accepted with it
    _store(opened, store, exchange.token)
    return found


def _store(opened: Session, store: TokenFile, token: Token) -> None:
    with store.locked():
        store.save(token.plain())
    opened.reporter.left_behind = "the sign-in is stored"
    opened.reporter.log("note", f"signed in; the token is in {store.path} and is renewed automatically")


def _redirect_uri(usual: str, options: LoginOptions) -> str:
    """Return the redirect URI of this sign-in.

    Raises:
        UsageError: It is not a redirect URI, or is not on this machine and a port was given.
    """
    try:
        uri = oauth.checked(options.redirect_uri or usual)
    except ValueError as error:
        raise UsageError(f"--redirect-uri: {error}", hint="give it as it is registered with the integration") from None
    if options.port is None:
        return uri
    if oauth.port_of(uri) is None:
        raise UsageError(f"--port is for a redirect URI on this machine, not for {uri}", hint="use --redirect-uri")
    return oauth.with_port(uri, options.port)


def _receive_code(opened: Session, provider: Provider, page: str, attempt: Attempt, options: LoginOptions) -> str:
    """Return the code from the browser, or from the address that the user pastes."""
    why = _why_to_paste(opened, attempt, options)
    if not options.paste and why is None:
        return _wait_for_browser(opened, provider, page, attempt, options)
    if why:
        opened.reporter.log("note", why)
    _show(opened, f"open this address in any browser and sign in to {provider.title}:", page)
    opened.reporter.log(
        "note",
        f"the browser ends on {attempt.redirect_uri}?… and may be unable to open it: copy that whole address",
    )
    return _paste_code(opened, attempt)


def _why_to_paste(opened: Session, attempt: Attempt, options: LoginOptions) -> str | None:
    """Return why the browser cannot come back to this program, or None if it can."""
    if options.paste:
        return None
    if oauth.port_of(attempt.redirect_uri) is None:
        return f"{attempt.redirect_uri} is not on this machine"
    if not options.no_browser and not has_browser(opened.process.environ):
        return "no browser was found here (--no-browser waits for one that you open)"
    return None


def _wait_for_browser(opened: Session, provider: Provider, page: str, attempt: Attempt, options: LoginOptions) -> str:
    """Return the code from the browser, which is opened unless the user does so.

    Raises:
        UsageError: The port cannot be listened on.
        SignInError: The sign-in was denied, or not finished in time.
    """
    from cdrctl.http.callback import listening

    strangers: list[str] = []

    def refuse_stranger() -> None:
        if not strangers:
            opened.reporter.log("warning", "refused a response that is not for this sign-in; still waiting")
        strangers.append("one")

    with ExitStack() as stack:
        try:
            wait = stack.enter_context(listening(attempt, refuse_stranger))
        except OSError as error:
            port = oauth.port_of(attempt.redirect_uri)
            raise UsageError(
                f"port {port} on {oauth.LOOPBACK} cannot be used: {error.strerror}",
                hint="choose another with --port, and register its redirect URI with the integration; or use --paste",
            ) from None
        _show(opened, f"sign in to {provider.title} at this address:", page)
        if not options.no_browser:
            threading.Thread(target=_open_browser, args=(opened, page), daemon=True).start()
        opened.reporter.log("note", f"waiting for the browser to return to {attempt.redirect_uri}; Ctrl-C ends it")
        try:
            return wait(options.seconds)
        except TimeoutError:
            raise SignInError(
                f"the sign-in was not finished within {options.seconds:.0f} s",
                hint="run the command again; --wait 15m waits longer, --paste needs no browser on this machine",
            ) from None


def _paste_code(opened: Session, attempt: Attempt) -> str:
    """Return the code in the text that the user pastes; on a terminal, wrong text is asked for again.

    Raises:
        SignInError: The text has no code of this sign-in.
    """
    for left in reversed(range(PASTE_ATTEMPTS)):
        text = ask(opened, "paste the address, or the code in it (not shown)", secret=True)
        try:
            return oauth.pasted(text, attempt)
        except oauth.StrangerError:
            why = "that address is from another sign-in"
        except ValueError as error:
            why = str(error)
        if not left or not opened.process.stdin_is_terminal:
            break
        opened.reporter.log("warning", why)
    raise SignInError(why, hint="run the command again, and paste the address that the browser ended on")


def _show(opened: Session, text: str, page: str) -> None:
    """Print the address on a line of its own, so that it can be copied; with --quiet too."""
    stream = opened.process.stderr
    if stream is None:
        return
    page = opened.reporter.clean(page)
    if opened.reporter.as_json:
        lines = json.dumps({"level": "note", "message": text, "url": page})
    else:
        lines = f"cdrctl: {text}\n{page}"
    with suppress(OSError, ValueError):  # stderr is closed; the exit code remains
        stream.write(f"{lines}\n")
        stream.flush()


def has_browser(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Return whether a browser can be opened that the user would see."""
    if environ.get("BROWSER"):
        return True
    screen = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    if platform in {"win32", "cygwin", "darwin"}:
        return screen or not environ.get("SSH_CONNECTION")
    if not screen:
        return False
    import webbrowser  # slow: it looks for every browser

    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _open_browser(opened: Session, page: str) -> None:
    """Open the page. Run in a thread of its own: for some browsers this returns only when they are closed."""
    import webbrowser  # slow: it looks for every browser

    started = False
    with suppress(webbrowser.Error, OSError, ValueError):
        started = webbrowser.open(page)
    if not started:
        opened.reporter.log("note", "no browser could be opened: open the address above yourself")
