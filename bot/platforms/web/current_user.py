"""GET /api/me: who you are on the page, whom you may turn into, and what you have left today."""

from collections.abc import Sequence

from bot.core.json import JSON
from bot.core.people import User
from bot.dispatch.dispatcher import Dispatcher


async def current_user_to_json(user: User, people: Sequence[User], dispatcher: Dispatcher) -> JSON:
    """`left` holds credits as texts to be shown; `people` is there only where one may switch."""
    credits_ = dispatcher.services.credits
    statement = await credits_.get_statement(user)
    me: dict[str, JSON] = {
        **await _user_to_json(user, dispatcher),
        "left": {
            "today": credits_.formatter.format(statement.today_available_micros),
            "allowance": credits_.formatter.format(statement.daily_allowance_micros),
            "extra": credits_.formatter.format(statement.extra_available_micros),
        },
    }
    if people:
        me["people"] = [await _user_to_json(other, dispatcher) for other in people]
    return me


async def _user_to_json(user: User, dispatcher: Dispatcher) -> dict[str, JSON]:
    return {"id": user.id, "name": user.name, "rank": (await dispatcher.authorizer.get_rank(user)).name.lower()}
