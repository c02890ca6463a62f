"""The operators' listener: one page with the live nodes, and the JSON that it polls.

Words: roster (the rows shown), state (one word for how a node stands), token (the operators' bearer token). Imports
api's error rendering and health, registry, configs and kit. Start at app.
"""
