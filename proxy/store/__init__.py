"""Where answers are kept: a self-describing file an object (format, disk), small bodies in memory as well (store), open
descriptors (descriptors); and, in the supervisor, a keeper for each directory with its index, order of eviction and
purges.

The directories are the truth and are shared by the workers of a node; a worker's memory and the index only remember. A
torn, foreign or missing file is a miss. Words: volume (a directory, its bytes counted by all processes), home (the
volume of a key), out (ejected: its disk fails), entry (what a worker remembers), lease (an open descriptor), part (a
file being written), journal (what workers tell the keeper), slot (where hits are marked), admission (what may drive
others out), pinned (evicted last), account (objects and bytes of a tag or tenant), purge, slice (an extent of a sparse
file, with a record in its table). May import proxy.rules and proxy.http. Start at store; at slicing for objects of
which slices are there; at keeper for what the supervisor does.
"""
