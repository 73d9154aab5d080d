"""Public descriptions of the platforms' APIs, and validators for requests and responses."""
