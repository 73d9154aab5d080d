"""Tests of the sandbox's faults: the message of the user, and the ledger."""
