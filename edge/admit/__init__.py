"""Who may have what at an edge: `token` (a play token in the path) or `open` (everybody, everything)."""
