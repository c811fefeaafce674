"""The one loop: pieces from a fetcher become rows for a writer, each record once, and it is counted what happened."""
