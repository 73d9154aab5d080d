"""A Replicate-compatible server for this machine, with small honest models made of classical code."""
