"""Headrace beside nginx, Varnish and a bare sendfile loop: CPU, latency and memory of the same answers.

Words: peer (a server that is measured), line-up (all peers of one call, with one origin behind them), case (what is
asked, how often at once), round (one peer under load for a while), row (a case's medians, a peer each). All peers are
pinned to one core, the load comes from the other, and rounds take turns (A, B, C, A, B, C ...). Some cases have a
baseline of each peer's own (compared): its round follows that of the case. Imports what bench may.
Start at run: lineup starts the peers, cases, many and cold measure, targets judges, table and chart show. The
command is in headrace.bench.
"""
