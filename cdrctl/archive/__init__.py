"""Nightly exports: an archive of records by day, and a ledger of what has been read, so that nothing is lost.

intervals   the ledger's algebra, on plain values
store       the files and their indexes, and how what came is merged with what was there
ledger      the database
sync        one day of one call: from the provider into its file and its line in the ledger
calendar    what the ledger says of each day; and what a run would ask, without asking
verify      whether files and ledger agree, and making the one from the others
"""
