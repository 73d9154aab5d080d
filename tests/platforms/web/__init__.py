"""The page over real sockets and a real database."""
