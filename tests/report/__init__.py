"""Tests of what is made from records."""
