"""What was heard before: Slack says things again when it is not sure, over any socket."""

from collections import OrderedDict

_REMEMBERED = 20_000


class RecentIds:
    """The last ids that were asked about."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, one: str) -> bool:
        """Whether this is the first time."""
        if one in self._ids:
            return False
        self._ids[one] = None
        while len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        return True
