"""One script for each figure; `python -m benchmarks.NAME` prints it. What was seen is in RESULTS.md."""
