"""How fast a terminal takes edits: as fast as they come."""


class ConsolePacer:
    """No limit, and nobody to share one with."""

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Now."""

    def close(self) -> None:
        """Nothing to leave."""
