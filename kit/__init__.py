"""The ground floor: small leaf modules that know nothing of ours.

Words: clock (time is handed in), tasks (every task has an owner), log (one JSON line an event), metrics (plain
integers, rendered for Prometheus), resilience (breaker), hashing (bounded-load rendezvous), workers (a supervisor and
its processes), nursery and nurse (who forks them, how they are asked for), kin (who dies with whom), allocator (what
a node starts with), locks (on bytes of a file), errors (what kind, whose side, may it be retried).

May import nothing of ours. Start reading at errors.
"""
