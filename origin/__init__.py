"""Everything behind the shields, a folder a domain: app (composition), delivery (published bytes, to shields only),
playback (who may play what, from which edge), packaging, transcode, catalog, ingest, assets, contract.

Words: title, version (published bytes of a title, never changed), rung, asset (one file of a version), class (cache
policy of an asset), tag. Imports of the engine only proxy.http and proxy.serve, never its cache. Start at app.
"""
