"""Nodes get their credentials with one-time tokens, and lose them again.

Words: token (opens one enrolment of one node, once, until it ends; only its hash is kept), name (`id:serial`, whose
secret an enrolled node has; the plain id where the credential was derived by `headrace up` or `init`), revoked (a name
whose signatures control refuses). Two forms behind one Protocol: redis_form shares between control processes, memory
keeps it in one. Imports orders, registry, contract, configs and kit. Start at service (Enrolment).
"""
