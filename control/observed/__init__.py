"""What viewers saw of edges, as edges tell it: how long a round trip takes, by client network (CTL-03).

Words: round trip, network (a /24 or /48 of clients), history (round trips that fade), sample (one connection).
Steering asks without waiting; what Redis holds is shared by all control processes, what it loses was soft. May import
contract, steering.choose (Latency) and kit. Start at model.
"""
