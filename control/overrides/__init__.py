"""Keeps operators' overrides of steering: which edge is pinned, avoided or tried, until when.

Words: override (steering.overrides has its meaning), book (all that are kept), in force (its end has not come). Two
forms behind one Protocol: memory, and redis_form, which all control processes share. Imports steering.overrides,
contract and kit. Start at book.
"""
