"""What a shared cache may store, how long it is fresh, and what may be done with it now: RFC 9111 and 5861.

Pure: handed the time, no I/O, no log, no settings. A decision is a closed union. Deviations stand in proxy/README.md.
Words: policy (the directives that govern), selecting fields (those that Vary names), variants (answers under one key).
May import proxy.http. Start at reuse.
"""
