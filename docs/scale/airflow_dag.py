"""A night in Airflow: a task for each profile, and at most one of a credential at the same time."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import dag, task

ARCHIVE = "/srv/cdr"
PROFILES = {"acme": "webex_partner", "globex": "webex_partner", "initech": "initech"}
"""Profiles, each with the pool of its credential. The pools have one slot: `airflow pools set NAME 1 cdrctl`."""


def sync(profile: str) -> dict[str, object]:
    """Bring one profile up to date; its counts are what other tasks see."""
    from cdrctl.archive import SyncJob, sync_unit

    result = sync_unit(SyncJob(archive=ARCHIVE, profile=profile), log=lambda _level, text: print(text))
    if result.exit_code in {5, 11}:
        raise AirflowException(f"{profile}: temporary, exit code {result.exit_code}")  # Airflow tries again
    if result.exit_code:
        raise AirflowFailException(f"{profile}: exit code {result.exit_code}")  # a person is needed
    return result.plain()


@dag(schedule="30 2 * * *", start_date=datetime(2026, 11, 1), catchup=False, max_active_runs=1)
def cdrctl_night() -> None:
    """Bring the archive up to date."""
    for profile, pool in PROFILES.items():
        task(sync, task_id=profile, pool=pool, retries=3, retry_delay=timedelta(minutes=15))(profile)


cdrctl_night()
