"""Asking the next tier: which of its servers (chooser), how (client), and what went wrong (failures).

Words: server (one of the tier, with its load and its breaker), attempt (one request to one server).
May import proxy.http and kit. Start at client.
"""
