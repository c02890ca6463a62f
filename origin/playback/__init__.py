"""Who may play what, from which edge: `POST /api/v1/playback/start` (CDN-04).

Words: start (the request), session (one viewing, its id in the token), edge (chosen by control), token (minted here).
May import catalog, contract, control.contract and kit. Start at service.
"""
