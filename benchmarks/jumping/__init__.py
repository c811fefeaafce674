"""A folder for PYTHONPATH, with a clock that jumps instead of waiting."""
