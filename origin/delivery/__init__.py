"""Published bytes, for shields only: `GET|HEAD /content/<id>/<version>/<name>`.

Words: credential (who may ask), revoked (shields that may no more), version (its assets, remembered), head (status
and fields, decided without I/O), body (bytes of one object, in pieces). May import catalog, assets, contract,
proxy.http, control.contract, configs and kit. Start at handler; head is the rule.
"""
