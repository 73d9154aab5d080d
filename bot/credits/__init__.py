"""Prices, limits, budgets and the ledger of spent money."""
