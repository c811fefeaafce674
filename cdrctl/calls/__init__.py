"""Whole calls: legs of any provider joined into one row per call."""
