"""Why we differ, where more than one group of rows does for the same reason. proxy/README.md has them all."""

ERRORS = (
    "Errors that their definition does not make cacheable are passed on, whatever they say: "
    "what one request brings about must not become everybody's answer."
)
COOKIES = "An answer with Set-Cookie is never kept: one viewer's session must not reach another."
