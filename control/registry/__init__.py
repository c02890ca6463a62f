"""Which nodes there are, and how they are: the map that steering reads.

Words: map (NodeMap: one frozen picture), node (one row of it), seen (when its last heartbeat came), map version
(changes when membership or eligibility does), away (Redis cannot be asked). Two forms behind one Protocol: redis_form
shares the map between control processes, memory keeps it in one. Start at model (Registry).
"""
