"""Requests in, answers out: the connection (connection), the steps (pipeline), what a tier decides (tier), sending
(deliver, wire), accounting (account), who may look on (watch). May import every other part of proxy. Start at pipeline.

origin uses wire and deliver's ground, proxy.http, for its own answers; never fills or stores.
"""
