"""`cdrctl profile login`: the sign-in, its errors, and the exports that follow."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox.wire import Reply, Request
from tests.cli.login_kit import finished, finished_with, office_paste, signed_in
from tests.support.host import ended, heard, hearing
from tests.support.signing import PROFILE, Office, an_office, decided, page_in, page_of, parameters, visited

pytestmark = pytest.mark.process

SOON = 5


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    with an_office(tmp_path) as office, hearing():
        yield office


def test_exports_work_after_a_sign_in(office: Office) -> None:
    written = office.host.config.read_bytes()
    out, err = signed_in(office, "-vv")
    assert out.startswith(b"acme (Webex): signed in; ")
    assert str(office.tokens).encode() in err
    assert office.host.config.read_bytes() == written
    for path, mode in ((office.tokens, 0o600), (office.tokens.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    exported = office.export("-vv")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.count(b"\n") > 10
    assert office.granted("authorization_code") == 1
    assert office.granted("refresh_token") == 0
    secrets = office.secrets()
    assert len(secrets) >= 5
    for secret in secrets:
        assert secret[-12:].encode() not in out + err + exported.stderr
    assert office.host.left_over() == []


def test_the_requests_of_a_sign_in_are_as_documented(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        page = page_of(running)
        visited(decided(page))
        assert finished(running)[0] == 0
    asked = parameters(page)
    assert len(asked.pop("state")) >= 43
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": "C0000EXAMPLE",
        "redirect_uri": office.uri,
        "scope": "spark-admin:calling_cdr_read",
        "code_challenge_method": "S256",
    }
    form = next(one.body.decode() for one in office.webex.requests if b"authorization_code" in one.body)
    sent = parameters(f"?{form}")
    assert set(sent) == {"grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier"}
    assert len(sent["code_verifier"]) >= 43
    assert sent["code_verifier"] not in page


def test_tokens_are_renewed_automatically(office: Office) -> None:
    signed_in(office)
    for renewals in (1, 2):
        office.webex.expire_tokens("webex")
        assert office.export().returncode == 0
        assert office.granted("refresh_token") == renewals


def test_a_profile_without_a_sign_in_names_login(office: Office) -> None:
    ran = office.export("-o", "file.csv")
    assert ran.returncode == 4
    assert b"this profile has not signed in yet" in ran.stderr
    assert b"cdrctl profile login acme" in ran.stderr
    assert not (office.host.folder / "file.csv").exists()
    assert office.host.run("profile", "check", PROFILE).returncode == 4


def test_an_expired_refresh_token_names_login(office: Office) -> None:
    signed_in(office)
    office.webex.expire_tokens("webex")
    office.webex.provider("webex").expire_refresh_tokens()
    ran = office.export()
    assert ran.returncode == 4
    assert b"the refresh token was not accepted" in ran.stderr
    assert b"cdrctl profile login acme" in ran.stderr
    signed_in(office)
    assert office.export().returncode == 0


def test_a_sign_in_replaces_an_expired_refresh_token_until_the_profile_has_a_new_one(office: Office) -> None:
    office.host.configure({PROFILE: {**office.settings, "refresh_token": "ended-long-ago"}})
    assert office.export().returncode == 4
    signed_in(office)
    assert office.export().returncode == 0
    assert office.granted("refresh_token") == 1, "only the one that had ended"
    fresh = office.webex.credentials("webex", "refresh_token")["refresh_token"]
    office.host.configure({PROFILE: {**office.settings, "refresh_token": fresh}})
    assert office.export().returncode == 0
    assert office.granted("refresh_token") == 2, "the one that was put into the profile since"


def test_a_sign_in_replaces_an_expired_access_token(office: Office) -> None:
    office.host.configure({PROFILE: {**office.settings, "access_token": "ended-long-ago"}})
    ran = office.export()
    assert ran.returncode == 4
    assert b"cdrctl profile login acme" in ran.stderr
    assert not office.tokens.parent.exists(), "nothing is kept for who has nothing to renew"
    signed_in(office)
    assert office.export().returncode == 0


def test_tokens_of_another_client_are_not_used(office: Office) -> None:
    signed_in(office)
    office.host.configure({PROFILE: {**office.settings, "client_id": "C0000OTHER"}})
    ran = office.export()
    assert ran.returncode == 4
    assert b"has not signed in" in ran.stderr


def test_a_profile_of_the_environment_alone_signs_in(office: Office) -> None:
    office.host.config.unlink()
    named = {f"CDRCTL_ACME_{name.upper()}": str(value) for name, value in office.settings.items()}
    office.host.environ |= named
    signed_in(office)
    assert office.export().returncode == 0


def test_damaged_tokens_are_replaced_by_a_sign_in(office: Office) -> None:
    signed_in(office)
    office.tokens.write_text("half", encoding="utf-8")
    ran = office.export()
    assert ran.returncode == 6
    assert b"cdrctl profile login acme" in ran.stderr
    signed_in(office)
    assert office.export().returncode == 0


def test_a_denied_sign_in_stores_nothing(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        shown = visited(decided(page_of(running), "deny"))
        code, out, err = finished(running)
    assert "Not signed in" in shown.text
    assert (code, out) == (4, b"")
    assert b"denied in the browser" in err
    assert b"access_denied" in err
    assert not office.tokens.exists()


def test_a_response_with_another_state_is_refused_while_the_wait_goes_on(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        address = decided(page_of(running))
        base, _, query = address.partition("?")
        state = parameters(address)["state"]
        other = query.replace(state, "x" * len(state))
        for wrong in (other, "code=stolen", "error=access_denied", f"{query}&state={state}"):
            refused = visited(f"{base}?{wrong}")
            assert refused.status_code == 400
            assert "Another sign-in" in refused.text
        assert visited(address).status_code == 200
        code, _, err = finished(running)
    assert code == 0, err
    assert err.count(b"not for this sign-in") == 1
    assert office.granted("authorization_code") == 1


def test_a_wrong_client_secret_is_reported(office: Office) -> None:
    office.host.configure({PROFILE: {**office.settings, "client_secret": "not-the-secret"}})
    with ended(office.login("--no-browser", "-vv")) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 4
    assert b"client_id or client_secret was not accepted" in err
    assert b"not-the-secret" not in err
    assert not office.tokens.exists()


def test_a_used_code_is_refused_and_not_shown(office: Office) -> None:
    with ended(office.login("--paste", stdin=subprocess.PIPE)) as first:
        address = decided(page_in(heard(first, b"copy that")))
        assert finished_with(first, address)[0] == 0
    kept = office.tokens.read_bytes()
    used = parameters(address)["code"]
    code, _, err = office_paste(office, used, "-vv")
    assert code == 4
    assert b"was not accepted" in err
    assert office.uri.encode() in err
    assert used.encode() not in err
    assert office.tokens.read_bytes() == kept, "a sign-in that fails leaves an earlier one as it was"


def test_secrets_that_the_service_repeats_are_masked(office: Office) -> None:
    imitated = office.webex.provider("webex")
    reply = imitated.reply

    def repeating(request: Request) -> Reply:
        if request.path != "/access_token":
            return reply(request)  # type: ignore[no-any-return]
        form = " ".join(parameters(f"?{request.body.decode()}").values())
        return Reply(400, json.dumps({"message": f"bad: {form}"}).encode(), {"Content-Type": "application/json"})

    imitated.reply = repeating
    with ended(office.login("--no-browser", "-vv")) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 4
    assert b"bad: authorization_code" in err
    for name in ("code", "code_verifier", "client_secret"):
        sent = next(one.body.decode() for one in office.webex.requests if b"authorization_code" in one.body)
        assert parameters(f"?{sent}")[name][-12:].encode() not in err  # all secrets of the sandbox begin alike


def test_an_unregistered_redirect_uri_never_returns(office: Office) -> None:
    with ended(office.login("--no-browser", "--redirect-uri", f"{office.uri}/other", itself=True)) as running:
        assert "redirect_uri" in visited(page_of(running)).text
        running.send_signal(signal.SIGINT)
        code, _, err = finished(running)
    assert code == 130, err


def test_a_missing_scope_of_the_integration_is_reported(office: Office) -> None:
    with ended(office.login("--no-browser")) as running:
        page = page_of(running)
        visited(f"{office.uri}?error=invalid_scope&error_description=No+such+scope&state={parameters(page)['state']}")
        code, _, err = finished(running)
    assert code == 4
    assert b"invalid_scope No such scope" in err
    assert b"select the scope" in err


def test_without_permission_to_read_calls_nothing_is_stored(office: Office) -> None:
    office.webex.switch("webex", "scope", "missing")
    with ended(office.login("--no-browser")) as running:
        visited(decided(page_of(running)))
        code, out, err = finished(running)
    assert (code, out) == (4, b"")
    assert b"may not read call history; nothing of this sign-in was stored" in err
    assert not office.tokens.exists()


def test_a_code_is_exchanged_once(office: Office) -> None:
    office.webex.fail("webex", 401, path="/cdr_feed", times=9)
    with ended(office.login("--no-browser")) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 4
    assert b"does not accept the token that it has just issued" in err
    assert office.granted("authorization_code") == 1


def test_a_sign_in_is_stored_if_only_the_first_request_fails(office: Office) -> None:
    office.webex.fail("webex", 400, path="/cdr_feed", times=9)
    with ended(office.login("--no-browser")) as running:
        visited(decided(page_of(running)))
        code, out, err = finished(running)
    assert (code, out) == (7, b"")
    assert b"signed in; the token is in" in err
    office.webex.switch("webex", "fail", "none")
    assert office.export().returncode == 0


def test_a_taken_port_is_reported_with_a_next_step(office: Office) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = office.host.run("profile", "login", PROFILE, "--no-browser", "--port", str(taken.getsockname()[1]))
    assert ran.returncode == 2
    assert b"cannot be used" in ran.stderr
    assert b"--port" in ran.stderr


def test_another_port_is_another_redirect_uri(office: Office) -> None:
    registered = office.uri
    office.host.configure({PROFILE: {**office.settings, "redirect_uri": "http://127.0.0.1:8765/callback"}})
    signed_in(office, "--port", registered.rpartition(":")[2].partition("/")[0])


def test_the_wait_for_the_browser_ends(office: Office) -> None:
    ran = office.host.run("profile", "login", PROFILE, "--no-browser", "--wait", "1s")
    assert ran.returncode == 4
    assert b"the sign-in was not finished within 1 s" in ran.stderr
    assert b"--wait" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_and_nothing_is_stored(office: Office, number: signal.Signals) -> None:
    with ended(office.login("--no-browser", itself=True)) as running:
        page_of(running)
        running.send_signal(number)
        _, err = running.communicate(timeout=SOON)
    assert running.returncode == 130
    assert b"interrupted; nothing was stored" in err
    assert not office.tokens.exists()
    assert office.host.left_over() == []


def test_an_unwritable_token_folder_is_noticed_before_the_sign_in(office: Office) -> None:
    office.tokens.parent.write_text("in the way", encoding="utf-8")
    ran = office.host.run("profile", "login", PROFILE, "--no-browser")
    assert ran.returncode == 6
    assert b"authorize" not in ran.stderr


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name != "webex"])
def test_a_provider_without_a_browser_sign_in_names_its_methods(office: Office, name: str) -> None:
    office.host.configure({PROFILE: {"provider": name, **office.webex.credentials(name)}})
    ran = office.host.run("profile", "login", PROFILE)
    assert ran.returncode == 2
    assert b"has no sign-in with a browser" in ran.stderr
    assert f"--provider {name}".encode() in ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["acme", "--port", "9", "--redirect-uri", "http://localhost:9/"], "cannot be combined"),
        (["acme", "--paste", "--no-browser"], "--no-browser"),
        (["acme", "--redirect-uri", "http://example.com/callback"], "must begin with http://127.0.0.1"),
        (["acme", "--redirect-uri", "https://example.com/callback", "--port", "9"], "--port"),
        (["acme", "--wait", "soon"], "length of time"),
        (["acme", "--set", "timeout=3"], "already"),
        (["sandbox"], "needs no sign-in"),
        (["nobody", "--set", "client_secret=abc"], "is a secret"),
    ],
)
def test_contradicting_options_are_refused(office: Office, words: list[str], said: str) -> None:
    ran = office.host.run("profile", "login", *words)
    assert ran.returncode == 2, ran.stderr
    assert said in ran.stderr.decode()


def test_a_profile_without_a_client_names_the_missing_settings(office: Office) -> None:
    office.host.configure({PROFILE: {"provider": "webex", "access_token": "abcdefgh"}})
    ran = office.host.run("profile", "login", PROFILE)
    assert ran.returncode == 6
    assert b"has no client_id and client_secret" in ran.stderr


@pytest.mark.parametrize("name", ["authorize_url", "token_url"])
def test_no_secret_is_sent_unencrypted(office: Office, name: str) -> None:
    office.host.configure({PROFILE: {**office.settings, name: "http://webex.example.net/v1/x"}})
    ran = office.host.run("profile", "login", PROFILE)
    assert ran.returncode == 6
    assert b"https://" in ran.stderr


def test_a_missing_profile_is_refused(office: Office) -> None:
    ran = office.host.run("profile", "login", "acmee")
    assert ran.returncode == 6
    assert b"did you mean acme" in ran.stderr


def test_a_new_profile_is_created_from_settings(office: Office) -> None:
    settings = {name: value for name, value in office.settings.items() if name not in {"provider", "client_secret"}}
    given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    given += ["--set", "client_secret_command=printf EXAMPLE-WEBEX-SECRET"]
    with ended(office.host.start("profile", "login", "new", "--no-browser", *given, itself=False)) as running:
        visited(decided(page_of(running)))
        code, _, err = finished(running)
    assert code == 0, err
    assert office.host.run("webex", "cdrs", "-p", "new", "--since", "3h", "--until", "2h").returncode == 0


def test_adding_a_browser_profile_names_login(office: Office) -> None:
    words = ("profile", "add", "new", "--provider", "webex", "--with", "browser")
    ran = office.host.run(*words, input=b"C0000EXAMPLE\nEXAMPLE-WEBEX-SECRET\n")
    assert ran.returncode == 0, ran.stderr
    assert b"cdrctl profile login new" in ran.stderr


def test_json_messages_have_the_address(office: Office) -> None:
    with ended(office.login("--no-browser", "--log-format", "json", "-q", "--wait", "1s")) as running:
        _, _, err = finished(running)
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["level"] for line in lines] == ["note", "error"]
    assert "/authorize?" in lines[0]["url"]
