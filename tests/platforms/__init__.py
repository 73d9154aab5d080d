"""The page and the terminal, and what every platform must do."""
