"""Cog's own HTTP server (replicate/cog, docs/http.md): a model container of the owner's, as a backend."""
