"""TLS towards viewers and upstreams: a *pair* (certificate and key: pair, pem), which pair a viewer gets and when new
files are taken (certificates), the *handshake* before a connection (handshake), whom we trust upstream (trust).

TLS runs in the process (OpenSSL through uvloop): no byte goes to the socket beside it. May import proxy.serve, configs
and kit. Start at handshake.
"""
