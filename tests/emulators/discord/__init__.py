"""A strict Discord on this machine: REST, gateway and files, and people who use it."""
