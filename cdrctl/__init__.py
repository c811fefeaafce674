"""Call detail records from five telephony providers, exported completely, politely and safely."""

__version__ = "0.1.0"
