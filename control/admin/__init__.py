"""What operators may do to the installation, over HTTP and from the console: one route table, one gate.

Words: endpoint (a row of the table), role (viewer, operator, admin), area (a part of the API that a token may be held
to), principal (whoever calls), token (an API token), gate (the way of every call: who, how often, may they, once, do,
record), claim (an idempotency key in use), record (one call), entry (a record in its place in the audit log's chain of
hashes), store (what must not be forgotten: memory with files, or Redis). Imports api's service and errors, the rooms
that it speaks for, contract, configs and kit. Start at gate, then parts (the table).
"""
