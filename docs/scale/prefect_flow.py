"""A night in Prefect: a task for each profile, and at most one of a credential at the same time."""

from __future__ import annotations

from prefect import flow, task
from prefect.concurrency.sync import concurrency

from cdrctl.archive import SyncJob, SyncResult, sync_unit

ARCHIVE = "/srv/cdr"
PROFILES = {"acme": "webex-partner", "globex": "webex-partner", "initech": "initech"}
"""Profiles, each with the limit of its credential: `prefect gcl create NAME --limit 1`."""


@task(retries=3, retry_delay_seconds=900, retry_condition_fn=lambda _task, _run, state: "temporary" in state.message)
def sync(profile: str, credential: str) -> SyncResult:
    """Bring one profile up to date."""
    with concurrency(credential, strict=True):
        result = sync_unit(SyncJob(archive=ARCHIVE, profile=profile), log=lambda _level, text: print(text))
    if result.exit_code:
        kind = "temporary" if result.exit_code in {5, 11} else "a person is needed"
        raise RuntimeError(f"{profile}: {kind}, exit code {result.exit_code}")
    return result


@flow(log_prints=True)
def night() -> None:
    """Bring the archive up to date."""
    started = [sync.submit(profile, credential) for profile, credential in PROFILES.items()]
    for one in started:
        one.result()


if __name__ == "__main__":
    night.serve(name="cdrctl-night", cron="30 2 * * *")
