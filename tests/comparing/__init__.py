"""Tests of what is counted and decided from records."""
