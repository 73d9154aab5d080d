"""Backends run predictions: one folder for each backend, and the HTTP transport that backends share."""
