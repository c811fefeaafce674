"""No secret is printed, logged, written outside its own files, or sent to another host."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from cdrctl.fetchers import Provider
from cdrctl.profiles.file import environment_name
from tests.support.bench import (
    MONTH,
    PROFILE,
    SUBJECTS,
    WAYS,
    Bench,
    Subject,
    bench,
    counted,
    evenly,
    kind_of,
    proofs_in,
    secret_names,
)
from tests.support.loopback import Stranger
from tests.support.products import thinned
from tests.support.runner import Ran

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
PAGE = 5
ODD = "cAnArY-%s-\"q'\\b%%41+/=&<>"
LOGS = [("-vv",), ("-vv", "--log-format", "json")]


def way_id(provider: Provider, way: str) -> str:
    """Return the name of a provider's way to sign in."""
    return f"{provider.name}-{way}"


def log_id(options: tuple[str, ...]) -> str:
    """Return the format of a log."""
    return "json" if "json" in options else "text"


each_way = pytest.mark.parametrize(("provider", "way"), WAYS, ids=[way_id(*one) for one in WAYS])
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """Run another host, which records what it is sent."""
    with Stranger() as listening:
        yield listening


def subject_of(provider: Provider) -> Subject:
    """Return the provider's main call."""
    return next(subject for subject in SUBJECTS if subject.provider.name == provider.name)


def credentials_in(made: Bench) -> set[str]:
    """Return the credentials that requests had."""
    found: set[str] = set()
    for one in made.sandbox.requests:
        for name in ("authorization", "x-auth-token"):
            found.add(one.headers.get(name, "").removeprefix("Bearer "))
        found.update(proofs_in(one.body, made.subject.facts.proofs))
    return found - {""}


def check_clean(made: Bench, ran: Ran, secrets: set[str]) -> None:
    """Check that no secret is in a command's output, nor in any file other than those made for it."""
    places = {"stdout": ran.out, "stderr": ran.err}
    for file in made.shell.folder.rglob("*"):
        own = file == made.shell.config or (file.parent.name == "tokens" and file.suffix == ".json")
        if file.is_file() and not own and file.parent.name != "secrets":
            places[file.name] = file.read_bytes().decode("utf-8", "replace")
    assert secrets
    for secret in secrets:
        forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)}
        for place, text in places.items():
            for form in forms:
                assert form not in text, f"a secret is in {place}"
                assert form[:14] not in text, f"the beginning of a secret is in {place}"


def secrets_of(made: Bench, settings: dict[str, Any]) -> set[str]:
    """Return the secrets of a profile and those that its runs have sent."""
    own = {str(settings[name]) for name in secret_names(made.provider) if name in settings}
    return own | credentials_in(made)


@each_way
@pytest.mark.parametrize("log", LOGS, ids=["text", "json"])
def test_successful_commands_show_no_secret(provider: Provider, way: str, log: tuple[str, ...], tmp_path: Path) -> None:
    """Exports run with the most verbose logs, and commands that show a profile run too."""
    with bench(subject_of(provider), tmp_path, evenly(2 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        kind = kind_of(made.sandbox, provider, way)
        settings = made.sandbox.credentials(provider.name, kind)
        made.sign_in_by(kind)
        for more in (("-o", str(tmp_path / "cdrs.csv")), ("-f", "jsonl", "--schema", "raw"), ("--schema", "common")):
            check_clean(made, made.run(SINCE, UNTIL, *more, *log).ok(), secrets_of(made, settings))
        for words in (["show", PROFILE], ["check", PROFILE], ["list"]):
            ran = made.shell.run("profile", *words, *log).ok()
            check_clean(made, ran, secrets_of(made, settings))
            assert ran.out


@each_way
@pytest.mark.parametrize("log", LOGS, ids=["text", "json"])
def test_refused_secret_is_not_shown(provider: Provider, way: str, log: tuple[str, ...], tmp_path: Path) -> None:
    """The provider may repeat the secret, and it may have any characters."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        kind = kind_of(made.sandbox, provider, way)
        names = [name for name in provider.auth_methods[way] if name in secret_names(provider)]
        for odd in names:
            settings = {**made.sandbox.credentials(provider.name, kind), odd: ODD % odd}
            made.sign_in_by(kind, **settings)
            ran = made.run(SINCE, UNTIL, *log)
            assert ran.code == 4, ran.err
            check_clean(made, ran, secrets_of(made, settings))
            for words in (["show", PROFILE], ["check", PROFILE]):
                check_clean(made, made.shell.run("profile", *words, *log), secrets_of(made, settings))


def fill_texts(value: Any, text: str) -> Any:
    """Return a JSON document with this text in the place of every text."""
    if isinstance(value, Mapping):
        return {key: fill_texts(inner, text) for key, inner in value.items()}
    return text if value == "{}" else value


SPELLINGS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
    "html": lambda text: html.escape(text) + "".join(f"&#{ord(char)};" for char in text),
    "hex": lambda text: text.encode().hex(),
    "percent": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
}


def echo(
    made: Bench, status: int, *, as_json: bool, padding: int = 0, spelt: Callable[[str], str] = lambda text: text
) -> None:
    """Let the provider repeat each request in its response."""
    provider = made.sandbox.provider(made.provider.name)
    reply = provider.reply

    def echoed(request: Any) -> Any:
        answer = reply(request)
        if not made.asks(request):
            return answer
        texts = [value for name, value in request.headers.items() if name in {"authorization", "x-auth-token"}]
        texts += proofs_in(request.body, made.subject.facts.proofs)
        assert texts
        text = "x" * padding + spelt(" ".join(texts).removeprefix("Bearer "))
        body = {"message": text, "error": text, "data": {"message": text, "cause": text}, "status": "error"}
        body |= fill_texts(made.subject.facts.complaint, text)
        headers = {**answer.headers, "trackingid": text}
        return replace(
            answer, status=status, body=json.dumps(body).encode() if as_json else text.encode(), headers=headers
        )

    provider.reply = echoed


@pytest.mark.thin
@pytest.mark.parametrize(
    ("way_of", "status", "log"),
    thinned(WAYS, (200, 400, 401, 403, 404, 429, 451, 500), LOGS, ids=(lambda way: way_id(*way), str, log_id)),
)
def test_credential_is_removed_from_the_providers_message(
    way_of: tuple[Provider, str], status: int, log: tuple[str, ...], tmp_path: Path
) -> None:
    provider, way = way_of
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        kind = kind_of(made.sandbox, provider, way)
        made.sign_in_by(kind)
        echo(made, status, as_json=True)
        ran = made.run(SINCE, UNTIL, *log)
        assert ran.code in {3, 4, 5, 6, 7}, ran.err
        check_clean(made, ran, secrets_of(made, made.sandbox.credentials(provider.name, kind)))


@each_way
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_encoded_credential_is_not_shown(provider: Provider, way: str, spelling: str, tmp_path: Path) -> None:
    """The archive's ledger does not have it either."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        kind = kind_of(made.sandbox, provider, way)
        settings = made.sandbox.credentials(provider.name, kind)
        made.sign_in_by(kind)
        echo(made, 403, as_json=True, spelt=SPELLINGS[spelling])
        ran = made.run(SINCE, UNTIL, "-vv")
        assert ran.code in {4, 6, 7}, ran.err
        check_clean(made, ran, {SPELLINGS[spelling](secret)[:-2] for secret in secrets_of(made, settings)})


@each_way
def test_archive_stores_no_credential_that_the_provider_repeats(provider: Provider, way: str, tmp_path: Path) -> None:
    """The ledger has the provider's message about a day that failed."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        kind = kind_of(made.sandbox, provider, way)
        made.sign_in_by(kind)
        echo(made, 403, as_json=True)
        ran = made.shell.run("sync", PROFILE, "--into", str(tmp_path / "archive"), "--since", f"{SINCE:%Y-%m-%d}")
        assert ran.code in {3, 4, 6, 7}, ran.err
        assert list((tmp_path / "archive").glob("_cdrctl/ledger/*/*.json"))
        check_clean(made, ran, secrets_of(made, made.sandbox.credentials(provider.name, kind)))


@each_call
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("padding", [0, 44, 184])
def test_excerpt_does_not_end_with_part_of_a_credential(
    subject: Subject, status: int, padding: int, tmp_path: Path
) -> None:
    """An excerpt of a response could end within a credential."""
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        echo(made, status, as_json=False, padding=padding)
        ran = made.run(SINCE, UNTIL, "-vv")
        assert ran.code in {4, 5, 7}, ran.err
        check_clean(made, ran, secrets_of(made, made.sandbox.credentials(subject.provider.name)))


@each_way
@pytest.mark.parametrize("where", ["environment", "file", "command"])
def test_secrets_from_the_environment_a_file_or_a_command(
    provider: Provider, way: str, where: str, tmp_path: Path
) -> None:
    """They sign in and are not shown."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        settings = made.sandbox.credentials(provider.name, kind_of(made.sandbox, provider, way))
        environ = {}
        written: dict[str, object] = {}
        (tmp_path / "secrets").mkdir()
        for name, value in settings.items():
            file = tmp_path / "secrets" / name
            if name not in secret_names(provider):
                written[name] = value
            elif where == "environment":
                environ[environment_name(PROFILE, name)] = str(value)
            else:
                file.write_text(f"{value}\n", encoding="utf-8")
                file.chmod(0o600)
                written[f"{name}_{where}"] = str(file) if where == "file" else f"cat '{file}'"
        made.shell.profile(PROFILE, provider.name, written)
        ran = made.run(SINCE, UNTIL, "-vv", "-f", "jsonl", "--schema", "raw", **environ).ok()
        assert counted(ran.lines) == counted(made.truth(SINCE, UNTIL))
        check_clean(made, ran, secrets_of(made, settings))
        check_clean(made, made.shell.run("profile", "show", PROFILE, **environ).ok(), secrets_of(made, settings))


@each_way
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_host_is_refused(
    provider: Provider, way: str, status: int, stranger: Stranger, tmp_path: Path
) -> None:
    """The redirect is at the sign-in or on any page. Nothing is sent to the other host."""
    with bench(subject_of(provider), tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        kind = kind_of(made.sandbox, provider, way)
        for nth in (1, 2, 3):
            for kept in tmp_path.glob("tokens/*.json"):
                kept.unlink()
            made.sign_in_by(kind)
            headers = {"Location": f"http://{stranger.host}/v1/elsewhere?a=b"}
            made.fail(status, nth=nth, headers=headers, body=made.subject.facts.redirect)
            ran = made.run(SINCE, UNTIL, "-vv", "-o", str(tmp_path / "cdrs.csv"))
            assert ran.code in {4, 6, 7}, ran.err
            assert not (tmp_path / "cdrs.csv").exists()
        assert stranger.visits == []


@each_call
@pytest.mark.parametrize(
    "form", ["http://{host}", "https://{host}", "http://{own}@{host}", "//{host}", "HTTP://{host}"]
)
def test_link_to_another_host_is_refused(subject: Subject, form: str, stranger: Stranger, tmp_path: Path) -> None:
    """Another port of the same host counts as another host."""
    with bench(subject, tmp_path, evenly(2 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        own = made.sandbox.url
        led = form.format(host=stranger.host, own=own.removeprefix("http://"))
        provider = made.sandbox.provider(subject.provider.name)
        reply = provider.reply
        links = 0

        def leading_away(request: Any) -> Any:
            nonlocal links
            answer = reply(request)
            links += any(own in value for value in answer.headers.values()) or own.encode() in answer.body
            headers = {name: value.replace(own, led) for name, value in answer.headers.items()}
            return replace(answer, body=answer.body.replace(own.encode(), led.encode()), headers=headers)

        provider.reply = leading_away
        ran = made.run(SINCE, UNTIL, "-vv", "-f", "jsonl", "--schema", "raw")
        if links:
            assert ran.code in {6, 7}, ran.err
        else:
            assert counted(ran.ok().lines) == truth
        assert stranger.visits == []
        check_clean(made, ran, secrets_of(made, made.sandbox.credentials(subject.provider.name)))


@each_call
@pytest.mark.parametrize("action", ["foreign_link", "redirect"])
def test_sandbox_link_to_another_host_is_refused(
    subject: Subject, action: str, stranger: Stranger, tmp_path: Path
) -> None:
    """The sandbox has a switch of its own for such links."""
    with bench(subject, tmp_path, evenly(2 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        details = {"host": stranger.host} if action == "foreign_link" else {"url": f"http://{stranger.host}/"}
        made.fail(action, times=100, **details)
        ran = made.run(SINCE, UNTIL, "-f", "jsonl", "--schema", "raw")
        assert ran.code in {4, 6, 7} or (ran.code == 0 and counted(ran.lines) == truth), ran.err
        assert stranger.visits == []
