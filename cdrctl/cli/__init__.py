"""The command line: it turns words into values, opens a profile, and prints results."""
