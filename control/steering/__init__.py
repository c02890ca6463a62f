"""Where a viewer's session goes: pure rules over the map and the time.

At its start: choose (candidates), pathways (what its master names), explain (why). While it runs: live (what its player
is told), order (the rule), session (the token).

Words: title (content id), eligible (alive, not draining, load below 80), band (a higher load that is still taken when
nothing is eligible), reserve, candidate, network (client addresses with one latency history), pathway (an edge of a
running session: A, B, C), coming (load sent but not reported yet), warm (a title that is much of an edge's load), loss
(the share of its sessions that an edge loses for what players see of it), turned away (a session of that share).
Imports the registry's model, geo and kit. Start at choose.
"""
