"""What every other process embeds to speak with control.

Words: link (signed requests to control), reporter (the heartbeat task), report (one heartbeat's content), leave (said
on drain), teller (what viewers saw, every few seconds). Imports control.contract, configs and kit; never the rest of
control, never Redis. Start at reporter.
"""

from control.node.link import ControlLink
from control.node.reporter import Reporter, ReporterState

__all__ = ["ControlLink", "Reporter", "ReporterState"]
