"""Tests of fetching, decoding and keeping pictures."""
