"""How settings reach the fleet: a version is staged, tried on a few nodes, and only then for all (issue 5, part 5).

Words: content (what a version says: settings laid over those of the nodes, a tree a tier), version (a content with a
number), stage (staged, canary, proven, active, retired, rolled_back), canary (the nodes that try a version), evidence
(what they and the others answered meanwhile), verdict (waiting, proven, bad), wanted (the version that a node should
have). `model` and `rules` are pure; a shelf keeps the state (memory, or Redis for all control processes). Imports
registry, contract, configs and kit. Start at rules.
"""
