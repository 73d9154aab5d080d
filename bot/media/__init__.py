"""Files: fetched safely, decoded within limits, and kept."""
