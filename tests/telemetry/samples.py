"""Read the metrics of this process."""

from bot.telemetry import metrics


def value_of(name: str, **labels: str) -> float:
    """Return the value of one sample, 0 before the first count."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0
