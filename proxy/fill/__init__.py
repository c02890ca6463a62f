"""Fills: one request upstream for an answer however many viewers wait for it (CDN-23).

Words: flight (one fill), leader (the request that began it), follower (another that waits), ending (how the flight
ended; each is a metric), slice (an aligned extent of an object), run (one request for neighbouring slices). May import
proxy.upstream, proxy.store, proxy.rules, proxy.http. Start at filler; at slices for ranges of what is not stored.
"""
