"""What is an edge's own: what it sees of its viewers."""
