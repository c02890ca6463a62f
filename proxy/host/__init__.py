"""The processes of a caching node: a supervisor (ports, counters, keeper, admin endpoints) and its workers (serving).

Told by its tier what to embed (heartbeats); knows no map itself. Start at supervisor.
"""
