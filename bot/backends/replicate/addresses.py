"""Which stream belongs to which prediction, for as many as are likely to be watched."""

from collections import OrderedDict

from bot.backends.replicate.origins import Origins
from bot.backends.replicate.schema import Prediction


class StreamAddresses:
    """Learnt from replies. Forgets the oldest beyond `most`; a forgotten one costs one GET more."""

    def __init__(self, origins: Origins, *, most: int = 10_000) -> None:
        self._origins = origins
        self._most = most
        self._urls: OrderedDict[str, str] = OrderedDict()

    def learn(self, prediction: Prediction) -> None:
        """Remember where this one streams; an address that we may not read from counts as none."""
        if self._origins.may_stream(prediction.stream_url):
            self._urls[prediction.id] = prediction.stream_url
        else:
            self._urls.setdefault(prediction.id, "")
        while len(self._urls) > self._most:
            self._urls.popitem(last=False)

    def of(self, prediction_id: str) -> str | None:
        """Its address; empty when it has none, None when that is not known."""
        return self._urls.get(prediction_id)
