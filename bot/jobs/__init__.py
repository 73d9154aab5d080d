"""One unit of asked-for work, from accepted to delivered, through crashes."""
