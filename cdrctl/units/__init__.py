"""The unit of a sync: the calls of one profile, brought up to date in an archive.

syncing   the calls of an open profile, one after the other: threads, shards and clusters only distribute this
calls     whole calls beside the legs of an archive
opening   the archive that a sync writes, and the profiles and calls that it reads
account   the account that a profile points to
job       a unit as plain values, and its result as plain values
plain     `sync_unit`: from the one to the other, on any machine
"""
