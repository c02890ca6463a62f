"""Who may play what, from which edge: `POST /api/v1/playback/start` (CDN-04).

Words: start (the request), fence (may the title be played where the viewer is), session (one viewing, its id in the
token), edge (chosen by control), token (minted here).
May import catalog, contract, control.contract, geo and kit. Start at service.
"""
