"""Decides where players go and tells nodes what to do; never in the byte path.

Listeners: api (nodes, origin, players), admin (operators) with console over it. What they ask: steering, registry,
health, orders, enrolment, observed (what viewers saw), overrides, rollout; `connected` is the way to their Redis. What
others embed: node, contract.

Words: node, region, load (percent of capacity), eligible (alive and load below 80), candidate, map version. Only this
package speaks Redis. Start at main.
"""
