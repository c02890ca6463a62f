"""Addresses, places, distances and territories; databases are made here, with private ranges."""
