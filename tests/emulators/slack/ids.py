"""Ids as Slack makes them: a letter that tells the kind, then capitals and digits."""

from itertools import count

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SlackIdGenerator:
    """Each id is given once; the order of asking decides it, so that a failing test fails alike again."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def next(self, kind: str) -> str:
        number, digits = next(self._numbers), ""
        while number or len(digits) < 6:
            number, digit = divmod(number, len(_DIGITS))
            digits = _DIGITS[digit] + digits
        return f"{kind}07A{digits}"
