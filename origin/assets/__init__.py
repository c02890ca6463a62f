"""Where the bytes of published files live: a content-addressed store of objects.

Words: object (bytes named by their SHA-256), Stored (digest and size), store. Imports kit only. Start at store.
"""

from origin.assets.store import ObjectStore, Stored

__all__ = ["ObjectStore", "Stored"]
