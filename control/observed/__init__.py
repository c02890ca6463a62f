"""What viewers saw of edges, as edges tell it: how long a round trip takes, by client network (CTL-03), and how well
they play (issue 5, part 6).

Words: round trip, network (a /24 or /48 of clients), history (round trips that fade), sample (one connection), vote
(what one session's player said), figures (sums of votes), score (of an edge, 0 to 1). Steering asks without waiting.
May import contract, steering.choose (Latency) and kit. Start at model for round trips, at quality for votes.
"""
