"""The verbs of /quota budget: what a workspace, or the whole bot, may spend in a month."""
