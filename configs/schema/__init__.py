"""One module a process; `base` has the types they share."""
