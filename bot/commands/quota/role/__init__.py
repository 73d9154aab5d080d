"""The verbs of /quota role: what the members of a role, or a user group, may spend and do."""
