"""The edge's processes: main (supervisor, heartbeats) and worker (serving)."""
