"""How long exports take and how much memory they need, beside the programs that people would write or use instead."""
