"""From an uploaded master to a published version, as a durable job that survives the death of its worker.

Words: job (what is to be made of which bytes; its version names both), place (where a job's files lie), plan (tracks
that a job encodes), pipeline (the steps, each idempotent), workflow (their order, durable), service (the API's side),
worker (the process that does it), presence (whether one lives), progress.

May import transcode, packaging, catalog, assets, configs and kit. Start at workflow, then pipeline.
"""
