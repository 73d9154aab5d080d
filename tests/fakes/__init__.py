"""Fakes of the platform, backend, clock and dispatcher, each named after its protocol or class."""
