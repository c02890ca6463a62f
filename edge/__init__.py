"""Viewers arrive here: node (the process), admit (who may have what), render (masters as a session gets them), beacon
(what viewers see).

The caching itself is proxy's. Sees origin only through origin.contract and control through control.contract and
control.node. Start at node.main.
"""
