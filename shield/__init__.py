"""shield."""
