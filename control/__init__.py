"""Decides where players go; never in the byte path: api, console, steering, registry, observed (what viewers saw),
node (what every other process embeds), contract.

Words: node, region, load (percent of capacity), eligible (alive and load below 80), candidate, map version. Only this
package speaks Redis. Start at api.
"""
