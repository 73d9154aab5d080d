"""The real bot as a process, and the sandbox as another, killed at random moments."""
