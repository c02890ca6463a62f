"""What every other process embeds to speak with control.

Words: link (signed requests to control), reporter (the heartbeat task), report (one heartbeat's content), leave (said
on drain), follower (the task that does control's orders), applier (what orders do to this node), kept (what it knows
of its orders across restarts), teller (what viewers saw, every few seconds), enrol (how it gets its credential).
Imports control.contract, configs and kit; never the rest of control, never Redis. Start at embed.
"""

from control.node.link import ControlLink
from control.node.reporter import Reporter, ReporterState

__all__ = ["ControlLink", "Reporter", "ReporterState"]
