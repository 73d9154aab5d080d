"""Local stand-ins of the platforms, as strict as the real ones."""
