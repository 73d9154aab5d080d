"""Many buckets: one for each interaction and channel, and none kept for longer than it is needed."""

from bot.platforms.discord.pacing import DiscordEditLimits
from tests.fakes.clock import ManualClock


class CountingClock(ManualClock):
    """Counts how often it is read."""

    reads = 0

    def monotonic(self) -> float:
        self.reads += 1
        return super().monotonic()


async def test_a_thousand_answers_at_once_do_not_each_look_at_all_the_others() -> None:
    clock = CountingClock()
    buckets = DiscordEditLimits(clock)

    for n in range(1_000):
        await buckets.get_interaction_bucket(f"token {n}").pacer().wait_for_edit(is_final=False)

    assert clock.reads < 10 * 1_000


async def test_buckets_whose_windows_are_over_are_forgotten() -> None:
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
