"""What a part measured: figures to read, ratios to compare, targets to meet."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """`ratios` are costs over the cost of a baseline measured in the same call: less is better. `failed` says in words
    which targets of the issue were missed."""

    part: str
    parameters: dict[str, Any]
    figures: dict[str, Any]
    ratios: dict[str, float]
    failed: tuple[str, ...] = field(default=())
    headline: tuple[str, ...] = field(default=())
    """Figures that stand at the top of the line too, for scripts."""

    def line(self) -> dict[str, Any]:
        """As it is printed and recorded."""
        return {
            "part": self.part,
            "parameters": self.parameters,
            "figures": self.figures,
            "ratios": {name: round(ratio, 4) for name, ratio in self.ratios.items()},
            "failed": list(self.failed),
            **{name: self.figures[name] for name in self.headline},
        }
