"""Which stream belongs to which prediction, for as many as are likely to be watched."""

from collections import OrderedDict

from bot.backends.replicate.origins import Origins
from bot.backends.replicate.schema import ReplicatePrediction


class StreamAddresses:
    """Learnt from replies. Forgets the oldest beyond `most`; a forgotten one costs one GET more."""

    def __init__(self, origins: Origins, *, max_entries: int = 10_000) -> None:
        self._origins = origins
        self._max_entries = max_entries
        self._urls: OrderedDict[str, str] = OrderedDict()

    def remember(self, prediction: ReplicatePrediction) -> None:
        """Remember where this one streams; an address that we may not read from counts as none."""
        if self._origins.may_stream(prediction.stream_url):
            self._urls[prediction.id] = prediction.stream_url
        else:
            self._urls.setdefault(prediction.id, "")
        while len(self._urls) > self._max_entries:
            self._urls.popitem(last=False)

    def get(self, prediction_id: str) -> str | None:
        """Its address; empty when it has none, None when that is not known."""
        return self._urls.get(prediction_id)
