"""A night in Dagster: an asset with a partition for each profile."""

import os

from dagster import (
    AssetExecutionContext,
    Definitions,
    Failure,
    MaterializeResult,
    RetryRequested,
    StaticPartitionsDefinition,
    asset,
)

from cdrctl.archive import SyncJob, sync_unit

ARCHIVE = os.environ.get("CDR_ARCHIVE", "/srv/cdr")
CREDENTIALS = {"acme": "webex-partner", "globex": "webex-partner", "initech": "initech"}
"""Profiles, each with its credential. Let the run coordinator run one of a credential at a time: a run of a partition
gets the tag `credential`, for which `tag_concurrency_limits` sets the limit 1 for each value."""


@asset(partitions_def=StaticPartitionsDefinition([*CREDENTIALS]))
def call_records(context: AssetExecutionContext) -> MaterializeResult:
    """Bring the archive of one profile up to date."""
    job = SyncJob(archive=ARCHIVE, profile=context.partition_key)
    result = sync_unit(job, log=lambda _level, text: context.log.info(text))
    if result.exit_code in {5, 11}:
        raise RetryRequested(max_retries=3, seconds_to_wait=900)
    if result.exit_code:
        raise Failure(f"exit code {result.exit_code}", metadata={"result": result.plain()}, allow_retries=False)
    return MaterializeResult(metadata={"new records": sum(call.outcome.new for call in result.calls)})


defs = Definitions(assets=[call_records])
