"""The verbs of /quota channel: what may be asked in a channel."""
