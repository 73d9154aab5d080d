"""The HTTP routes of the sandbox, one file per part of the API of Replicate."""
