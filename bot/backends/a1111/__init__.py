"""Stable Diffusion web UI (A1111), Forge and servers with the same API (`/sdapi/v1`), as a backend."""
