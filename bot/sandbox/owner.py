"""Whose token it is: the one account of the sandbox."""

OWNER = "sandbox"
ACCOUNT = {"type": "user", "username": OWNER, "name": "The sandbox on this machine"}
