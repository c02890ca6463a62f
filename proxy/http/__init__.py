"""HTTP as the RFCs have it, in pure functions: fields, dates, Cache-Control, conditionals, ranges, Cache-Status.

No I/O, no clock. May import kit only.
"""
