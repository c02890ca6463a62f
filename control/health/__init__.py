"""Which nodes can be trusted with sessions: up, degraded, draining, down.

Words: look (what one probe, its heartbeats and its players say of a node now: good, poor, bad), verdict (what the last
looks in a row add up to, with hysteresis), sight (which nodes fell silent, and whether that can be true), abstain (too
many fell silent at once to be believed: the map stays), blind (too many probes fail at once to be believed), judge (the
one control process that looks, for all). Rules are pure: rules, sight. Imports registry, configs and kit. Start at
monitor.
"""
