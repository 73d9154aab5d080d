"""A stand-in for A1111 and Forge that keeps the rules of their API."""
