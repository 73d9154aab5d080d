"""What each operation of the HTTP API does, one file per resource."""
