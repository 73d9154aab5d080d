"""/settings and its verbs: what a workspace decides for itself."""
