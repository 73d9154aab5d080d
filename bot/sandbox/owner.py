"""Whose token it is: the one account of the sandbox."""

ACCOUNT_NAME = "sandbox"
ACCOUNT = {"type": "user", "username": ACCOUNT_NAME, "name": "The sandbox on this machine"}
