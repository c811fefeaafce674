"""Refused credentials are reported once, expired ones are renewed during the run, and renewed ones are stored."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.fetchers import Provider
from cdrctl.sandbox import Received
from tests.support.bench import (
    MONTH,
    SUBJECTS,
    WAYS,
    Bench,
    Subject,
    bench,
    counted,
    evenly,
    kind_of,
    proofs_in,
    renews,
    secret_names,
)
from tests.support.facts import Facts

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
PAGE = 5
each_way = pytest.mark.parametrize(("provider", "way"), WAYS, ids=[f"{provider.name}-{way}" for provider, way in WAYS])
KEEPERS = [
    (provider, way) for provider, way in WAYS if provider.keeps_tokens and "refresh_token" in provider.auth_methods[way]
]
each_keeper = pytest.mark.parametrize(
    ("provider", "way"), KEEPERS, ids=[f"{provider.name}-{way}" for provider, way in KEEPERS]
)


def subject_of(provider: Provider) -> Subject:
    """Return the provider's main call."""
    return next(subject for subject in SUBJECTS if subject.provider.name == provider.name)


def asked_for(one: Received, facts: Facts) -> tuple[str, str, str, bytes]:
    """Return what identifies a request apart from its credential."""
    body = one.body
    for proof in proofs_in(body, facts.proofs):
        body = body.replace(proof.encode(), b"")
    return one.method, one.path, one.query, body


def check_refused_once(made: Bench) -> None:
    """Check that an export exits with 4, prints one error with a next step, and writes no file."""
    file = made.shell.folder / "cdrs.csv"
    ran = made.run(SINCE, UNTIL, "-o", str(file))
    assert ran.code == 4, ran.err
    assert ran.out == ""
    assert not file.exists()
    said = [line for line in ran.err.splitlines() if line.startswith("cdrctl: ")]
    sentences = [
        line for line in said if " records, " not in line
    ]  # the summary counts records that were fetched before the error
    assert len(sentences) == 1, ran.err
    assert made.provider.title in sentences[0] or "token" in sentences[0]
    assert len(sentences[0]) < 160
    assert "next: " in ran.err


@each_way
def test_wrong_credential_is_not_tried_again(provider: Provider, way: str, tmp_path: Path) -> None:
    """At most two requests are made, and the exit code is 4."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        secrets = [name for name in provider.auth_methods[way] if name in secret_names(provider)]
        assert secrets
        for name in secrets:
            before = len(made.sandbox.requests)
            made.sign_in_by(kind_of(made.sandbox, provider, way), **{name: "not-the-right-one"})
            check_refused_once(made)
            assert 1 <= len(made.sandbox.requests) - before <= 2


@each_way
def test_token_that_expired_before_the_run_is_renewed(provider: Provider, way: str, tmp_path: Path) -> None:
    """Without a way to renew it, the export exits with 4."""
    with bench(subject_of(provider), tmp_path, evenly(12, SINCE, UNTIL), page_size=PAGE) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        made.sandbox.expire_tokens(provider.name)
        if renews(provider, way):
            assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))
        else:
            check_refused_once(made)


@pytest.mark.thin
@each_way
def test_token_that_expires_during_the_run_is_renewed_once(provider: Provider, way: str, tmp_path: Path) -> None:
    """A token that expires between two pages is renewed once, and the same page is requested again."""
    with bench(subject_of(provider), tmp_path, evenly(4 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        facts = made.subject.facts
        made.switch(facts.statuses)
        truth = counted(made.truth(SINCE, UNTIL))
        kind = kind_of(made.sandbox, provider, way)
        made.sign_in_by(kind)
        whole = made.asked(lambda: made.raw(SINCE, UNTIL))
        for nth in range(2, len(whole) + 1):
            for kept in tmp_path.glob("tokens/*.json"):
                kept.unlink()
            made.sign_in_by(kind)
            made.fail("expire", nth=nth)
            if not renews(provider, way):
                check_refused_once(made)
                return
            requests = made.asked(lambda: _check_whole(made, truth))
            refused = [at for at, one in enumerate(requests) if one.status == 401]
            assert len(requests) == len(whole) + 2
            assert len(refused) == 1
            one, again = requests[refused[0]], requests[refused[0] + 2]
            assert asked_for(one, facts) == asked_for(again, facts)
            assert (one.headers, one.body) != (again.headers, again.body)


@pytest.mark.parametrize(
    ("provider", "way"),
    [pytest.param(provider, way, id=f"{provider.name}-{way}") for provider, way in WAYS if renews(provider, way)],
)
def test_expired_token_is_recognised_in_the_providers_default_responses(
    provider: Provider, way: str, tmp_path: Path
) -> None:
    """With the sandbox's default switches, the renewal costs two requests and no record."""
    with bench(subject_of(provider), tmp_path, evenly(4 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        truth = counted(made.truth(SINCE, UNTIL))
        kind = kind_of(made.sandbox, provider, way)
        made.sign_in_by(kind)
        whole = made.asked(lambda: made.raw(SINCE, UNTIL))
        for kept in tmp_path.glob("tokens/*.json"):
            kept.unlink()
        made.sign_in_by(kind)
        made.fail("expire", nth=len(whole))
        assert len(made.asked(lambda: _check_whole(made, truth))) == len(whole) + 2


def _check_whole(made: Bench, truth: Any) -> None:
    assert counted(made.raw(SINCE, UNTIL)) == truth


@each_way
def test_export_ends_when_the_renewed_credential_is_refused_too(provider: Provider, way: str, tmp_path: Path) -> None:
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        made.fail(401, path=made.listing_path, times=100)
        requests = made.asked(lambda: check_refused_once(made))
        assert len(requests) <= 4


MIXED = [
    (provider, token, way)
    for provider, token in WAYS
    if not renews(provider, token)
    for other, way in WAYS
    if other is provider and renews(provider, way)
]


@pytest.mark.parametrize(
    ("provider", "token", "way"), MIXED, ids=[f"{provider.name}-{token}-{way}" for provider, token, way in MIXED]
)
def test_expired_token_is_replaced_by_another_sign_in_of_the_profile(
    provider: Provider, token: str, way: str, tmp_path: Path
) -> None:
    with bench(subject_of(provider), tmp_path, evenly(12, SINCE, UNTIL), page_size=PAGE) as made:
        beside = made.sandbox.credentials(provider.name, kind_of(made.sandbox, provider, token))
        made.sign_in_by(
            kind_of(made.sandbox, provider, way), **{name: beside[name] for name in provider.auth_methods[token]}
        )
        made.fail("expire", nth=3)
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))


@each_keeper
def test_renewed_refresh_token_is_stored(provider: Provider, way: str, tmp_path: Path) -> None:
    """The next run uses it, and only its owner can read the file."""
    with bench(subject_of(provider), tmp_path, evenly(12, SINCE, UNTIL), page_size=PAGE) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        written = made.shell.config.read_text(encoding="utf-8")
        first = str(made.sandbox.credentials(provider.name, "refresh_token")["refresh_token"])
        truth = counted(made.truth(SINCE, UNTIL))
        shown = [first]
        for _ in range(3):
            requests = made.asked(lambda: _check_whole(made, truth))
            shown += [one.body.decode() for one in requests if one.method == "POST"]
            assert all(one.status == 200 for one in requests if one.method == "POST")
            made.sandbox.expire_tokens(provider.name)
        assert len(shown) == 4, "every run had to renew once"
        assert len(set(shown)) == 4, "every run used the refresh token of the one before"
        assert made.shell.config.read_text(encoding="utf-8") == written
        kept = list(tmp_path.glob("tokens/*.json"))
        assert len(kept) == 1
        assert stat.S_IMODE(kept[0].stat().st_mode) == 0o600
        assert stat.S_IMODE(kept[0].parent.stat().st_mode) == 0o700


@each_keeper
def test_stored_access_token_saves_the_sign_in(provider: Provider, way: str, tmp_path: Path) -> None:
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        made.raw(SINCE, UNTIL)
        requests = made.asked(lambda: made.raw(SINCE, UNTIL))
        assert [one.method for one in requests] == ["GET"] * len(requests)


@each_keeper
def test_stored_access_token_is_renewed_before_it_expires(provider: Provider, way: str, tmp_path: Path) -> None:
    """No request is refused first."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        made.raw(SINCE, UNTIL)
        made.clock.move(days=15)
        requests = made.asked(lambda: made.raw(SINCE + timedelta(days=15), UNTIL + timedelta(days=15)))
        assert [one.status for one in requests if one.status == 401] == []
        assert requests[0].method == "POST"


@each_keeper
def test_renewed_token_is_stored_when_the_run_fails(provider: Provider, way: str, tmp_path: Path) -> None:
    """The old refresh token is no longer valid, so the new one must not be lost."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.sign_in_by(kind_of(made.sandbox, provider, way))
        made.fail(403, path=made.listing_path)
        assert made.run(SINCE, UNTIL).code == 4
        made.sandbox.expire_tokens(provider.name)
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))


@each_keeper
def test_new_refresh_token_in_the_profile_is_used(provider: Provider, way: str, tmp_path: Path) -> None:
    """Tokens that were stored for the old one are not used."""
    with bench(subject_of(provider), tmp_path, evenly(3, SINCE, UNTIL)) as made:
        kind = kind_of(made.sandbox, provider, way)
        made.sign_in_by(kind)
        made.raw(SINCE, UNTIL)
        made.sign_in_by(kind)
        requests = made.asked(lambda: made.raw(SINCE, UNTIL))
        assert requests[0].method == "POST"


REFUSALS = [
    pytest.param(subject, switch, code, id=f"{subject}-{switch}")
    for subject in SUBJECTS
    for switch, code in subject.refuses.items()
]


@pytest.mark.parametrize(("subject", "switch", "code"), REFUSALS)
def test_refused_export_exits_with_the_code_of_the_reason(
    subject: Subject, switch: str, code: int, tmp_path: Path
) -> None:
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        made.switch([switch])
        ran = made.run(SINCE, UNTIL, "-o", str(tmp_path / "cdrs.csv"))
        assert ran.code == code, ran.err
        assert "next: " in ran.err
        assert not (tmp_path / "cdrs.csv").exists()
