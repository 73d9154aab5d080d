"""/usage, and /quota show, grant, take, set, reset and top: the credits and limits of single users."""

from bot.commands.quota.option_values import MAX_CREDITS, MIN_CREDITS, check_within_budget, parse_micros
from bot.core.errors import BadOption
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.people import Rank, User
from bot.core.replies import Reply
from bot.core.time_format import format_date, format_time
from bot.credits.limits import AT_ONCE, PER_MINUTE, USER_DAY, USER_MONTH, PolicyTarget
from bot.credits.pricing import CreditFormatter
from bot.credits.spending import Spender, Statement, format_budget, format_job_count, format_values, join_phrases
from bot.dispatch.declaration import Command, PersonOption, Services, command, option

_MAX_SHOWN = 25
_MAX_JOBS = 1_000


@command("quota show", rank=Rank.MODERATOR, private=True)
class QuotaShow(Command):
    """Show what somebody has left and may do, or all limits here."""

    user: PersonOption | None = option("Whom? Everything that is set if you say nothing.", default=None, max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.user:
            person = await services.credits.wallets.find_user(invocation.user, self.user)
            return Reply(text=await _format_person(person, services), is_private=True)
        return Reply(text=await _format_overview(invocation.user, services), is_private=True)


async def _format_person(person: User, services: Services) -> str:
    # A platform sends roles only with a user's own request: this statement has the tier of a user without roles.
    credits_ = services.credits
    form, statement = credits_.formatter, await credits_.get_statement(person)
    own = await credits_.get_values(PolicyTarget(person.platform, person.workspace, "user", person.id))
    left, allowance = form.format(statement.today_available_micros), form.format(statement.daily_allowance_micros)
    extra, spent = form.format(statement.extra_available_micros), form.format(statement.spent_this_month_micros)
    lines = [
        f"**{person.name}** has {left} of {allowance} credits left today, {extra} extra, and spent {spent} this month.",
        f"Own limits: {join_phrases(format_values(own, form), otherwise='none')}.",
    ]
    lines += [
        format_budget(budget, form, statement.limits.time_zone).replace("Your limit", "Limit")
        for budget in statement.budgets
        if budget.scope == "user"
    ]
    return "\n".join(lines)


async def _format_overview(by: User, services: Services) -> str:
    overview = await services.credits.get_overview(by.platform, by.workspace)
    form = services.credits.formatter
    lines = [
        f"This workspace: {join_phrases(format_values(overview.workspace, form), otherwise='no budget of its own')}."
    ]
    for title, groups, format_name in (
        ("Roles", overview.roles, overview.format_role),
        ("Channels", overview.channels, overview.format_channel),
        ("People", overview.people, overview.format_person),
    ):
        if groups:
            lines += ["", f"**{title}**"]
            lines += [
                f"- {format_name(name)}: {join_phrases(format_values(values, form), otherwise='nothing')}"
                for name, values in list(groups.items())[:_MAX_SHOWN]
            ]
            if len(groups) > _MAX_SHOWN:
                lines.append(f"- and {len(groups) - _MAX_SHOWN} more")
    return "\n".join(lines)


@command("quota grant", rank=Rank.MODERATOR, private=True)
class QuotaGrant(Command):
    """Give somebody extra credits."""

    user: PersonOption = option("To whom? A name or an id.", max_length=100)
    credits: float = option("How many credits?", minimum=MIN_CREDITS, maximum=MAX_CREDITS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        form, wallets = services.credits.formatter, services.credits.wallets
        micros = parse_micros(self.credits, form, "credits")
        user = await wallets.find_user(invocation.user, self.user)
        is_owner = invocation.rank >= Rank.OWNER
        # The request key: a platform may deliver one command twice.
        left = await wallets.grant(invocation.user, user, micros, invocation.request_key, is_owner=is_owner)
        text = f"{user.name} got {form.format_amount(micros)}, and has {form.format(left)} extra credits now."
        return Reply(text=text, is_private=True)


@command("quota take", rank=Rank.MODERATOR, private=True)
class QuotaTake(Command):
    """Take extra credits back from somebody."""

    user: PersonOption = option("From whom? A name or an id.", max_length=100)
    credits: float = option("How many credits?", minimum=MIN_CREDITS, maximum=MAX_CREDITS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        form, wallets = services.credits.formatter, services.credits.wallets
        micros = parse_micros(self.credits, form, "credits")
        user = await wallets.find_user(invocation.user, self.user)
        left = await wallets.take(invocation.user, user, micros, invocation.request_key)
        text = f"Took {form.format_amount(micros)} from {user.name}, who has {form.format(left)} extra credits now."
        return Reply(text=text, is_private=True)


@command("quota set", rank=Rank.MODERATOR, private=True)
class QuotaSet(Command):
    """Limit what one person may spend and do."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)
    day: float | None = option("At most how many credits a day?", default=None, minimum=0, maximum=MAX_CREDITS)
    month: float | None = option("At most how many credits a month?", default=None, minimum=0, maximum=MAX_CREDITS)
    at_once: int | None = option("How many jobs at once?", default=None, minimum=0, maximum=_MAX_JOBS)
    per_minute: int | None = option("How many jobs a minute?", default=None, minimum=0, maximum=_MAX_JOBS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, credits_ = invocation.user, services.credits
        person = await credits_.wallets.find_user(by, self.user)
        values = await self._collect_values(invocation, services)
        if not values:
            raise BadOption("Say what to limit: day, month, at_once or per_minute.")
        target = PolicyTarget(by.platform, by.workspace, "user", person.id)
        await credits_.change(target, values, by)
        limits = join_phrases(
            format_values(await credits_.get_values(target), credits_.formatter), otherwise="no limits"
        )
        return Reply(text=f"Limits of {person.name}: {limits}.", is_private=True)

    async def _collect_values(self, invocation: Invocation, services: Services) -> dict[str, JSON]:
        values: dict[str, JSON] = {}
        for key, name, amount in ((USER_DAY, "day", self.day), (USER_MONTH, "month", self.month)):
            if amount is not None:
                values[key] = parse_micros(amount, services.credits.formatter, name)
                await check_within_budget(invocation, services, services.credits.formatter.to_micros(amount), name)
        jobs = {AT_ONCE: self.at_once, PER_MINUTE: self.per_minute}
        return values | {key: number for key, number in jobs.items() if number is not None}


@command("quota reset", rank=Rank.MODERATOR, private=True)
class QuotaReset(Command):
    """Forgive what somebody spent, or take their limits away."""

    user: PersonOption = option("Whom? A name or an id.", max_length=100)
    what: str = option("What?", default="today", choices=("today", "month", "limits", "all"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        person = await services.credits.wallets.find_user(invocation.user, self.user)
        sentences = []
        if self.what != "limits":
            sentences.append(await self._forgive(invocation, services, person))
        if self.what in ("limits", "all"):
            sentences.append(await self._remove_limits(invocation, services, person))
        return Reply(text=" ".join(sentences), is_private=True)

    async def _forgive(self, invocation: Invocation, services: Services, person: User) -> str:
        with_month = self.what in ("month", "all")
        forgiven = await services.credits.wallets.reset(
            invocation.user, person, with_month=with_month, request_key=invocation.request_key
        )
        span = "This month begins" if with_month else "Today begins"
        amount = services.credits.formatter.format(forgiven)
        return f"{span} anew for {person.name}: {amount} credits can be spent again today."

    async def _remove_limits(self, invocation: Invocation, services: Services, person: User) -> str:
        target = PolicyTarget(person.platform, person.workspace, "user", person.id)
        values = await services.credits.get_values(target)
        if not values:
            return f"{person.name} had no limits of their own."
        await services.credits.change(target, dict.fromkeys(values), invocation.user)
        return f"{person.name} has no limits of their own any more."


@command("quota top", rank=Rank.MODERATOR, private=True)
class QuotaTop(Command):
    """Show who spent the most this month."""

    count: int = option("How many people?", default=10, minimum=1, maximum=50)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        spenders = await services.credits.list_spenders(invocation.user, self.count)
        if not spenders:
            return Reply(text="Nobody spent anything here this month.", is_private=True)
        form = services.credits.formatter
        lines = [f"{n}. {_format_spender(spender, form)}" for n, spender in enumerate(spenders, 1)]
        return Reply(text="\n".join(["Spent this month:", *lines]), is_private=True)


def _format_spender(spender: Spender, form: CreditFormatter) -> str:
    text = f"{spender.name}: **{form.format(spender.spent_micros)}** credits, {format_job_count(spender.jobs)}"
    if not spender.failed_micros:
        return text
    runs = "1 failed run" if spender.failed_runs == 1 else f"{spender.failed_runs:,} failed runs"
    return f"{text}, and {runs} for {form.format_amount(spender.failed_micros)} at the bot's cost"


@command("usage", private=True)
class Usage(Command):
    """Show what you have left, and what it went on."""

    period: str = option("For today or this month?", default="month", choices=("today", "month"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        statement = await services.credits.get_statement(invocation.user)
        return Reply(
            text=_format_statement(statement, services.credits.formatter, with_month=self.period == "month"),
            is_private=True,
        )


def _format_statement(statement: Statement, form: CreditFormatter, *, with_month: bool) -> str:
    left, allowance = form.format(statement.today_available_micros), form.format(statement.daily_allowance_micros)
    zone, tier = statement.limits.time_zone, statement.limits.tier
    lines = [
        f"**{left}** of {allowance} credits left today. They refill at {format_time(statement.refills_at, zone)}."
        + (f" Your tier is **{tier}**." if tier else "")
    ]
    if statement.extra_available_micros:
        lines.append(f"**{form.format(statement.extra_available_micros)}** extra credits, which do not expire.")
    lines += [format_budget(budget, form, zone) for budget in statement.budgets]
    lines += _format_pace(statement)
    if with_month:
        lines += ["", *_format_month(statement, form, zone)]
    return "\n".join(lines)


def _format_pace(statement: Statement) -> list[str]:
    limits = statement.limits
    limits_text = []
    if limits.jobs_at_once is not None:
        limits_text.append(f"{limits.jobs_at_once} at once")
    if limits.jobs_per_minute is not None:
        limits_text.append(f"{limits.jobs_per_minute} a minute")
    return [f"You may run {' and '.join(limits_text)}."] if limits_text else []


def _format_month(statement: Statement, form: CreditFormatter, zone: str) -> list[str]:
    if not statement.usage_by_model:
        return ["Nothing spent this month."]
    refill = format_date(statement.month_refills_at, zone)
    lines = [
        f"Spent this month: **{form.format(statement.spent_this_month_micros)}** credits. The next begins {refill}."
    ]
    for model, jobs, micros in statement.usage_by_model:
        lines.append(f"- {model}: {jobs} {'time' if jobs == 1 else 'times'}, {form.format_amount(micros)}")
    return lines
