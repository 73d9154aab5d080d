"""Scripts that measure: `python -m benchmarks.NAME` prints figures, and RESULTS.md keeps the figures seen."""
