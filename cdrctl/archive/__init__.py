"""Nightly exports: an archive of records by day, and a ledger of what has been read, so that nothing is lost.

intervals   set operations on windows and readings, on plain values
store       the files of records; index: the index beside each of them; lines: their lines
ledger      the SQLite database of calls, readings and files
owner       the account whose records a profile has; proof: whether the profile still points to it
fetching    the records of a window, as lines of the archive
merge       the records of a response merged with those of a file; twins: keys of records with the same id
recover     the records of a file whose index is missing or does not match
day         one day of one call: from the provider into its file and the ledger
planning    which days a run reads; sync: reads them
calendar    which days are complete, and what a run would cost, without contacting the provider
verify      whether files and ledger agree, and the ledger rebuilt from the files
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cdrctl.units.job import CallDone, SyncJob, SyncResult
    from cdrctl.units.plain import sync_unit

__all__ = ["CallDone", "SyncJob", "SyncResult", "sync_unit"]


def __getattr__(name: str) -> object:
    """Return a part of the library, which is loaded now: it stands on this package, and on the profiles."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cdrctl.units import job, plain

    return getattr(plain if name == "sync_unit" else job, name)
