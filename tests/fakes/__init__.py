"""Fakes of the edges, each named after the protocol it wears."""
