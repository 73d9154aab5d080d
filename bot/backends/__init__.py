"""Who runs predictions: one folder per backend."""
