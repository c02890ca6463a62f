"""From a master file to encoded tracks: look at it, choose rungs, run the encoder.

Words: probe (what a master is; describe is its pure half), rung (one rendition that fits it), timing (frames of a GOP
and of a segment), command (an argument list, pure), child (a tool as a bounded process that dies with us).

May import configs and kit. Start at probe, then ladder, then encode.
"""
