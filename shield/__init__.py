"""The parent tier: node (the process), guard (who may ask, what origin is spared).

The same engine as the edge with other rules. Sees origin only through origin.contract. Start at node.main.
"""
