"""/quota: limits, extra credits, tiers and budgets of a workspace, and its spending."""
