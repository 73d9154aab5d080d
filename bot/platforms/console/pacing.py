"""How fast a terminal takes edits: as fast as they come."""


class ConsolePacer:
    """No limit, and nobody to share one with."""

    async def turn(self, *, is_final: bool) -> None:
        """Now."""

    def leave(self) -> None:
        """Nothing to leave."""
