"""Where answers are kept: a self-describing file an object (format, disk), small bodies in memory as well (store), open
descriptors (descriptors); and, in the supervisor, the keeper with its index, the order of eviction and purges.

The directory is the truth and is shared by the workers of a node; a worker's memory and the index only remember. A
torn, foreign or missing file is a miss. Words: entry (what a worker remembers), lease (an open descriptor), part (a
file being written), journal (what workers tell the keeper), slot (where hits are marked), purge, slice (an extent of a
sparse file, with a record in its table). May import proxy.rules and proxy.http. Start at store; at slicing for objects
of which slices are there; at keeper for what the supervisor does.
"""
