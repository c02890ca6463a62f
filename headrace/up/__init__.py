"""`headrace up`: a whole installation on this machine, from nothing to a playable URL, and down again.

Words: layout (which file lies where), child (a process of ours), ready line (what scripts read). Start at run.
"""
