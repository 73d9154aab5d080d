"""GET /api/me: who you are on the page, whom you may turn into, and what you have left today."""

from collections.abc import Sequence

from bot.core.json import JSON
from bot.core.people import User
from bot.dispatch.dispatcher import Dispatcher


async def me_as_json(user: User, people: Sequence[User], dispatcher: Dispatcher) -> JSON:
    """`left` holds credits as texts to be shown; `people` is there only where one may switch."""
    credits_ = dispatcher.services.credits
    statement = await credits_.statement(user)
    me: dict[str, JSON] = {
        **await _person(user, dispatcher),
        "left": {
            "today": credits_.form.show(statement.today_left),
            "allowance": credits_.form.show(statement.today_allowance),
            "extra": credits_.form.show(statement.extra_left),
        },
    }
    if people:
        me["people"] = [await _person(other, dispatcher) for other in people]
    return me


async def _person(user: User, dispatcher: Dispatcher) -> dict[str, JSON]:
    return {"id": user.id, "name": user.name, "rank": (await dispatcher.ranks.of(user)).name.lower()}
