"""Tests of what is shown of records."""
