"""A strict Discord on this machine: REST, gateway, files, and people with clients."""
