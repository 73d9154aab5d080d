"""/words and its verbs: what may not be asked for here."""
