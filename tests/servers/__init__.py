"""Real model servers for tests, each started as a process by a fixture of `tests/servers/fixtures.py`."""
