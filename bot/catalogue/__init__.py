"""The catalogue of models: one TOML table for each model, with inputs, output and price."""
