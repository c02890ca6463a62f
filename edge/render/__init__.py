"""The stored master playlist or MPD as one session gets it: explicit pathways, steering, the token's bitrate cap.

Words: master (either of them), pathway (an edge that the session may play from: A, B, C), base (where a pathway's URLs
begin), template (a master prepared for a cap and a number of pathways, with places for what differs by session).
Pure; imports origin.contract and kit. Start at masters.
"""
