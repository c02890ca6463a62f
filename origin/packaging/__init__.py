"""From encoded tracks to what players ask for: CMAF segments once, HLS and DASH over the same files.

Words: media (one packaged track as its bytes say), segment, boxes (walking ISO BMFF), peak (highest segment rate),
master, verify (nothing is published that these checks did not pass).

May import configs, kit and transcode. Start at package.
"""
