"""Where answers are kept: a self-describing file an object (format), small bodies in memory as well (index), open
descriptors (descriptors), and the janitor that keeps the directory within its bytes.

The directory is the truth and is shared by the workers of a node; a worker's index only remembers. A torn, foreign or
missing file is a miss. Words: entry (what lookup gives), lease (an open descriptor held for a time), part (a file being
written). May import proxy.rules and proxy.http. Start at store.
"""
