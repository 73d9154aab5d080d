"""Every fault of the sandbox, as a person meets it and as the ledger tells it."""
