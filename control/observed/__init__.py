"""What viewers saw of edges, as edges tell it: how long a round trip takes, by client network (CTL-03), and how well
they play (issue 5, part 6).

Words: round trip, network (a /24 or /48 of clients), history (round trips that fade), sample (one connection), vote
(what one session's player said), figures (sums of votes), score (of an edge, 0 to 1), complaint (of an edge, 0 to 1,
for decisions), opinion (both). Steering asks without waiting. May import contract, registry.model, steering.choose
(Latency), steering.losses and kit. Start at model for round trips, at quality for votes, at opinions for what becomes
of them.
"""
