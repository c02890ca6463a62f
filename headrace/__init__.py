"""The command line: up, demo, edge, shield, origin, control, keys, token, ingest, doctor; nothing else.

Each command fills settings, calls the room that does the work, and prints what came of it. Start at main.
"""
