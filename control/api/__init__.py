"""Control's public listener: heartbeats of nodes and their orders, steering for origin, health and metrics.

Words: signer (the node whose credential signed a request), refusal (the constant 403). Imports registry, orders,
steering, contract, configs and kit. Start at app.
"""
