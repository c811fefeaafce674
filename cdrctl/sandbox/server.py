"""The loopback server with the imitated providers, and `Sandbox`, the object by which tests control it."""

from __future__ import annotations

import gzip
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self

from cdrctl.sandbox import odd
from cdrctl.sandbox.callgear import CallGear
from cdrctl.sandbox.conversation import Conversation, Listener
from cdrctl.sandbox.damage import damage
from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.faults import ACTIONS, EVERYWHERE, Fault, Sent, read_fault, spoil
from cdrctl.sandbox.kazoo import Kazoo
from cdrctl.sandbox.portsip import PortSIP
from cdrctl.sandbox.voicenter import Voicenter
from cdrctl.sandbox.webex import Webex
from cdrctl.sandbox.wire import Clock, Provider, Reply, Request, Setting, Switch

PROVIDERS: dict[str, Callable[..., Provider]] = {
    "webex": Webex,
    "kazoo": Kazoo,
    "callgear": CallGear,
    "voicenter": Voicenter,
    "portsip": PortSIP,
}
"""The imitated providers: a new one is one package and one line here."""


@dataclass(slots=True)
class Received:
    """A received request and the status of its response; 0 if the connection was closed without a response."""

    provider: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    status: int = 0


def known_switches(provider: str) -> dict[str, Switch]:
    """Return the switches of a provider by name; ValueError for an unknown provider."""
    if provider not in PROVIDERS:
        raise ValueError(f"unknown provider {provider!r}: the sandbox has {', '.join(PROVIDERS)}")
    own: Mapping[str, Switch] = getattr(PROVIDERS[provider], "switches", {})
    return {**own, **EVERYWHERE}


def check_switch(provider: str, name: str, value: str) -> str:
    """Return a value if the provider's switch accepts it, else raise ValueError with the possible values."""
    switches = known_switches(provider)
    if name not in switches:
        raise ValueError(f"{provider} has no switch {name!r}; it has {', '.join(sorted(switches))}")
    if not switches[name].accepts(value):
        raise ValueError(f"{provider}.{name} cannot be {value!r}; it can be {switches[name].choices}")
    if name == "fail" and value != "none":
        for text in value.split(";"):
            read_fault(provider, text)
    return value


def parse_switches(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return `["webex.link=doc", …]` as provider → name → value.

    Raises ValueError with the known switches for an unknown provider, name or value.
    """
    read: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        provider, dot, switch = name.partition(".")
        if not (equals and dot and switch):
            raise ValueError(f"{text!r} is not a switch; a switch looks like webex.link=doc")
        read.setdefault(provider, {})[switch] = check_switch(provider, switch, value)
    return read


class Sandbox:
    """A running server with its imitated providers; as a context manager it closes the server.

    `requests` lists all received requests, oldest first. `now` is the clock of the providers and of the Date header.
    """

    def __init__(
        self, providers: Mapping[str, Provider], now: Clock, *, port: int, pause: Callable[[float], None] | None
    ) -> None:
        self.requests: list[Received] = []
        self.now = now
        self._providers = dict(providers)
        self._switched: dict[str, dict[str, str]] = {
            name: {switch: known.default for switch, known in EVERYWHERE.items()} for name in providers
        }
        self._counts = dict.fromkeys(providers, 0)
        self._back: dict[str, datetime] = {}
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._pause = pause or self._ended.wait
        self._sockets: set[socket.socket] = set()
        self._listener = Listener(("127.0.0.1", port), Conversation)
        self._listener.sandbox = self
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    # used by tests and by the command
    @property
    def port(self) -> int:
        """The port of the server."""
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_urls(self) -> dict[str, str]:
        """The `base_url` of every provider."""
        return {name: f"{self.url}{provider.mount}" for name, provider in self._providers.items()}

    @property
    def profiles(self) -> dict[str, dict[str, Setting]]:
        """Settings of a profile for every provider that sign in, without a rate limit."""
        return {name: self.credentials(name) for name in self._providers}

    def credentials(self, provider: str, kind: str = "") -> dict[str, Setting]:
        """Return settings that sign in by one method.

        webex: access_token (default), refresh_token, login. kazoo: api_key (default), password, realm, auth_token.
        callgear: access_token (default), login, partner. voicenter: code (default), bearer. portsip: password
        (default), access_token, standard_user. Raises ValueError for another.
        """
        with self._lock:
            known: Provider = self.provider(provider)
            return known.credentials(kind, self.base_urls[provider])

    def provider(self, name: str) -> Any:
        """Return an imitated provider, for attributes that only it has, such as `accounts` of kazoo."""
        if name not in self._providers:
            raise ValueError(f"unknown provider {name!r}: this sandbox has {', '.join(self._providers)}")
        return self._providers[name]

    def truth(self, provider: str, call: str, since: datetime, until: datetime, **options: str) -> list[dict[str, Any]]:
        """Return the wire records that began in `[since, until)`: the result of a perfect export of that window.

        Only records that exist by now. The current switches apply; pages, limits and faults do not matter. Options:
        webex `locations`; kazoo `account`, `user`; callgear `fields`, `user_id`, `reading`; voicenter the search keys
        and `fields`; portsip `user`.
        """
        with self._lock:
            records: list[dict[str, Any]] = self.provider(provider).truth(call, since, until, **options)
            return odd.change_records(provider, records, self._switched[provider], self.now())

    def switch(self, provider: str, name: str, value: str) -> None:
        """Set a switch; ValueError with the known values for an unknown one."""
        check_switch(provider, name, value)
        with self._lock:
            if name == "fail":
                self._faults = [fault for fault in self._faults if fault.provider != provider]
                if value != "none":
                    self._faults += [read_fault(provider, text) for text in value.split(";")]
            elif name in EVERYWHERE:
                self._switched[provider][name] = value
                if name == "expire_after":
                    self._counts[provider] = 0
                if name == "maintenance":
                    self._back[provider] = self.now() + timedelta(minutes=int(value))
            else:
                self.provider(provider).switched[name] = value

    def expire_tokens(self, provider: str) -> None:
        """Invalidate all access tokens of a provider; refreshing and signing in continue to work."""
        with self._lock:
            self.provider(provider).expire_tokens()

    def fail(
        self,
        provider: str,
        action: int | str,
        *,
        path: str | None = None,
        nth: int = 1,
        times: int = 1,
        **details: Any,
    ) -> None:
        """Apply a fault to the nth matching request from now, and to the `times - 1` requests after it.

        `action` is a status (details `headers`, `body`; without a body the provider's own error shape), or: `cut` (half
        the body, then closed), `reset`, `not_json`, `html`, `empty`, `wrong_shape`, `slow` (detail `seconds`),
        `redirect` (detail `url`), `foreign_link` (webex: the next link has the host of detail `host`), `expire` (all
        tokens expire before the request is answered). `path` is a part of the path after the provider's mount point.
        Raises ValueError for another action.
        """
        if isinstance(action, str) and action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}: a status, or {', '.join(ACTIONS)}")
        self.provider(provider)
        with self._lock:
            self._faults.append(Fault(provider, action, path, nth, times, details))

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._waker.close()  # wakes the listening thread
        self._thread.join(5)
        self._woken.close()
        self._listener.server_close()
        with self._lock:
            open_sockets = list(self._sockets)
        for one in open_sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # used by connections
    def _listen(self) -> None:
        """Accept connections until the sandbox is closed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                selector.select()
                if self._ended.is_set():
                    return
                self._listener.handle_request()

    def opened(self, connection: socket.socket) -> None:
        """Add a connection."""
        with self._lock:
            self._sockets.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Remove a connection."""
        with self._lock:
            self._sockets.discard(connection)

    def answered(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, client: str) -> Sent:
        """Return the response to a request, and record the request."""
        found = next((p for p in self._providers.values() if f"{path}/".startswith(f"{p.mount.rstrip('/')}/")), None)
        if found is None:
            # A provider may also have paths outside its mount point.
            found = next((p for p in self._providers.values() if path.startswith(getattr(p, "roots", ()))), None)
        received = Received(found.name if found else "", method, path, query, headers, body)
        slow = 0.0
        with self._lock:
            self.requests.append(received)
            if found is None:
                sent = Sent(Reply(404, b'{"message":"Not Found"}', {"Content-Type": "application/json"}))
            else:
                host = headers.get("host", self.url.removeprefix("http://"))
                mount = found.mount.rstrip("/")
                base = f"http://{host}{mount}"
                request = Request(method, path.removeprefix(mount), query, headers, body, base, client)
                sent, slow = self._by_rules(found, request)
            received.status = 0 if sent.way == "reset" else sent.reply.status
            sent = self._with_headers(sent, headers, found)
        if slow:
            self._pause(slow)
        return sent

    def _by_rules(self, provider: Provider, request: Request) -> tuple[Sent, float]:
        """Return the provider's response with the faults applied, and its delay in seconds."""
        self._counts[provider.name] += 1
        ends = self._switched[provider.name]["expire_after"]
        if ends != "never" and self._counts[provider.name] == int(ends) + 1:
            provider.expire_tokens()
        hit = [fault for fault in self._faults if fault.provider == provider.name and fault.hits(request)]
        slow = 0.0
        sent: Sent | None = None
        for fault in hit:
            if fault.action == "slow":
                slow += float(fault.details.get("seconds", 1))
            elif fault.action == "expire":
                provider.expire_tokens()
            elif sent is None:
                sent = spoil(provider, request, fault)
        if sent is None and self._back.get(provider.name, self.now()) > self.now():
            sent = Sent(provider.error(503, request))
        if sent is None:
            switched = self._switched[provider.name]
            reply = odd.change_reply(provider.name, provider.reply(request), switched, self.now())
            sent = Sent(damage(switched["damage"], reply))
        return sent, slow

    def _with_headers(self, sent: Sent, headers: Mapping[str, str], provider: Provider | None) -> Sent:
        """Add the header `Date`, and compress the body if the switch is on and the client accepts it."""
        reply = sent.reply
        extra = {"Date": format_datetime(self.now().astimezone(UTC).replace(microsecond=0), usegmt=True)}
        if provider is not None and self._switched[provider.name]["date_header"] == "off":
            del extra["Date"]
        body = reply.body
        wanted = provider is not None and self._switched[provider.name]["gzip"] == "on"
        if wanted and body and "gzip" in headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1, mtime=0)
            extra["Content-Encoding"] = "gzip"
        return replace(sent, reply=replace(reply, body=body, headers={**reply.headers, **extra}))


def _wall_clock() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def start(
    *,
    port: int = 0,
    seed: int | str = 1,
    now: Clock | None = None,
    providers: Sequence[str] | None = None,
    switches: Mapping[str, Mapping[str, str]] | None = None,
    exchange: Exchange | None = None,
    limits: bool = False,
    pause: Callable[[float], None] | None = None,
) -> Sandbox:
    """Return a running sandbox on 127.0.0.1; close it, or use it as a context manager.

    `port` 0 uses a free port. `now` returns an aware datetime (default: the wall clock). `providers` are names
    (default: all), `switches` are as `parse_switches` returns them. `exchange` has the calls (default:
    `Exchange(seed)`). `limits` turns the published rate limits on. `pause` waits for the fault `slow`. Raises
    ValueError for an unknown provider or switch, OSError if the port is in use.
    """
    clock = now or _wall_clock
    truth = exchange or Exchange(seed)
    names = tuple(PROVIDERS) if providers is None else tuple(providers)
    for provider, wanted in (switches or {}).items():
        for name, value in wanted.items():
            check_switch(provider, name, value)
    for name in names:
        known_switches(name)
    made = {name: PROVIDERS[name](truth, clock, limits=limits) for name in names}
    sandbox = Sandbox(made, clock, port=port, pause=pause)
    try:
        for provider, wanted in (switches or {}).items():
            for name, value in wanted.items():
                sandbox.switch(provider, name, value)
    except BaseException:
        sandbox.close()
        raise
    return sandbox
