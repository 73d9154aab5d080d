"""Thread roots: the posted questions that carry a Stop button until the answer in their thread is complete."""

from collections import OrderedDict

from bot.core.replies import MessageRef
from bot.platforms.slack.messages import Block
from bot.platforms.slack.mrkdwn import truncate
from bot.platforms.slack.tasks import Tasks
from bot.platforms.slack.web_api import SlackWebApi, ignore_refusal

_MOST_ROOTS = 5_000


class Roots:
    """Remembers each root without its button, and takes the button away."""

    def __init__(self, calls: SlackWebApi, tasks: Tasks) -> None:
        self._calls = calls
        self._tasks = tasks
        self._blocks: OrderedDict[tuple[str, str, str], list[Block]] = OrderedDict()

    def remember(self, root: MessageRef, blocks: list[Block]) -> None:
        """Keep the blocks that a root shows without its button."""
        self._blocks[root.workspace, root.channel, root.id] = blocks
        while len(self._blocks) > _MOST_ROOTS:
            self._blocks.popitem(last=False)

    def forget(self, workspace: str, channel: str, root: str) -> None:
        self._blocks.pop((workspace, channel, root), None)

    async def finish(self, answer: MessageRef) -> None:
        """Take the button off the root of the thread in which an answer is complete."""
        blocks = self._blocks.pop((answer.workspace, answer.channel, answer.thread), None)
        if blocks is not None:
            self.remove_button(answer.workspace, answer.channel, answer.thread, blocks)

    def remove_button(self, workspace: str, channel: str, root: str, blocks: list[Block]) -> None:
        """Update a root to `blocks` in the background."""
        self._tasks.spawn(self._update(workspace, channel, root, blocks), "root")

    async def _update(self, workspace: str, channel: str, root: str, blocks: list[Block]) -> None:
        text = truncate(str(blocks[0]["text"]["text"]), 1_000)
        await ignore_refusal(
            self._calls.call(workspace, "chat.update", channel=channel, ts=root, text=text, blocks=blocks)
        )
