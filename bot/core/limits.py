"""Bounds against hostile input, in one place: each bound with its unit and its reason.

docs/reliability.md lists every bound; `tests/test_limits.py` compares the list with this file.
"""

# Money and pace

# Pictures and files

# Connections and requests

# Text

# Storage
