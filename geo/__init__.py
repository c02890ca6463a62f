"""Where is this: from an address to its place, from a place to what is near and what is allowed there.

Words: place (country and coordinates of an address, as a database has them), network (the /24 or /48 of clients that
share one round trip history), territory (countries that a title may be played in), centroid (the middle of a country).
A ground floor: imports kit alone, knows no node and no title; no I/O once a database is loaded. Start at database.
"""
