"""What nodes are told to do, in order: purge, prefetch, drain, undrain, revoke.

Words: order (a command with a number), log (all orders that are kept, and what became of them), feed (the orders of one
role, in the order in which its nodes are told), cursor (a node's place in its feed), standing (what orders of before
add up to), staged (shields were told, edges wait for them), expected (the nodes that should do an order), in flight
(issued lately, and a node that is alive has not acknowledged). Two forms of the log behind one Protocol: redis_form
shares it between control processes, memory keeps it in one. Imports registry, contract, configs and kit. Start at
service (Orders).
"""
