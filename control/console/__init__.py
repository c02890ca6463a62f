"""The admin listener: the admin API's routes, and the operators' page over the same gate.

Words: session (a browser that logged in with a token), picture (the figures of one moment), section (a live part of
the page), deed (what can be done from the page), question (the page that asks whether a deed is meant). Imports admin,
api's error rendering and health, contract, configs and kit. Start at app.
"""
