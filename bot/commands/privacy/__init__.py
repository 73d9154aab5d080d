"""/privacy and its verbs: a person's own data, as a file or gone."""
