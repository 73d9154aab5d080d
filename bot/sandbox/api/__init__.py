"""The HTTP routes of the sandbox: one file for each part of Replicate's API."""
