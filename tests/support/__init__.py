"""Test tools that several folders of tests share; docs/testing.md lists them."""
