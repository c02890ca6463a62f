"""The processes of a caching node: a supervisor (ports, counters, keeper, admin endpoints) and its workers (serving).

Words: listeners (the sockets outlive the workers), reload (SIGHUP: settings read again, workers replaced one by one).
Told by its tier what to embed (heartbeats); knows no map itself. Start at supervisor.
"""
