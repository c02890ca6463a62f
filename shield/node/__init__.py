"""The shield's processes: main (supervisor, heartbeats) and worker (serving)."""
