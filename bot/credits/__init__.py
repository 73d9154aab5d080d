"""Money: what things cost, who may spend what, and the ledger that keeps count."""
