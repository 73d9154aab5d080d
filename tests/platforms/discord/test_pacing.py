"""Edit buckets: creating many is fast, and idle buckets are forgotten."""

from bot.platforms.discord.pacing import DiscordEditLimits
from tests.fakes.clock import ManualClock


class CountingClock(ManualClock):
    """Counts its readings."""

    reads = 0

    def monotonic(self) -> float:
        self.reads += 1
        return super().monotonic()


async def test_creating_a_thousand_buckets_takes_linear_time() -> None:
    clock = CountingClock()
    buckets = DiscordEditLimits(clock)

    for n in range(1_000):
        await buckets.get_interaction_bucket(f"token {n}").pacer().wait_for_edit(is_final=False)

    assert clock.reads < 10 * 1_000


async def test_idle_buckets_are_forgotten() -> None:
    clock = ManualClock()
    buckets = DiscordEditLimits(clock)
    for n in range(1_000):
        pacer = buckets.get_interaction_bucket(f"token {n}").pacer()
        await pacer.wait_for_edit(is_final=True)
        pacer.close()
    before = buckets.get_interaction_bucket("token 7")

    await clock.advance(60)
    for n in range(1_000, 3_000):
        buckets.get_interaction_bucket(f"token {n}").pacer()

    assert buckets.get_interaction_bucket("token 7") is not before
