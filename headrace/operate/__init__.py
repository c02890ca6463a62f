"""Commands that speak to control's admin API: nodes, drain, purge, prefetch, orders, steer, qoe, rollout, audit,
operators.

Words: desk (where control's admin listener is, and the token for it). Every command has --json. Start at desk.
"""
