"""The catalog's schema, revision by revision (Alembic). Run through origin.catalog.migrate, never by hand.

Words: revision, upgrade. A revision that was released is never edited; there are no downgrades: restore a backup.
"""
