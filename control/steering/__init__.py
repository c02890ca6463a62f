"""Where a viewer's session goes: pure rules over the map and the time.

Words: title (content id), eligible (alive, not draining, load below 80), band (a higher load that is still taken when
nothing is eligible), reserve, candidate, network (client addresses with one latency history). Imports the registry's
model, geo and kit.hashing. Start at choose.
"""
