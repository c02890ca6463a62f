"""Control's public listener: heartbeats of nodes and their orders, what their viewers saw, steering for origin, health
and metrics.

Words: signer (the node whose credential signed a request), refusal (the constant 403). Imports registry, orders,
observed, steering, contract, configs, geo and kit. Start at app.
"""
