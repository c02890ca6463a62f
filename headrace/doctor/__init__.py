"""`headrace doctor`: play a title as a client would and compare every byte with what origin stored.

Words: visit (one file fetched through the edge), finding (what is wrong). Start at command.
"""
