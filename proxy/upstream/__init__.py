"""Asking the next tier: which of its servers (chooser), and how (client). May import proxy.http and kit."""
