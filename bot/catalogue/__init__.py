"""The models the bot offers: one TOML table each, with what they take, give and cost."""
