"""What was measured before: a JSON line a report in results/, and whether a ratio has become worse since."""

import datetime
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import Report
from kit.errors import HeadraceError

RESULTS = Path(__file__).parent / "results"
RECORD = RESULTS / "results.jsonl"
WORSE = 1.15
"""A ratio above so many times the last one of its kind fails (issue 8, part 4)."""


class Worse(HeadraceError):
    """Something costs more than when it was last measured; the message names it."""

    kind = "worse"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure depends on, without a name: figures of unlike machines are not compared."""

    cpu: str
    cores: int

    @classmethod
    def this(cls) -> "Machine":
        """The one we run on."""
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return cls(names[0] if names else "unknown", len(os.sched_getaffinity(0)))


def line(report: Report, machine: Machine, commit: str, now: datetime.datetime) -> dict[str, Any]:
    """As it is recorded."""
    return {
        "date": now.isoformat(timespec="seconds"),
        "commit": commit,
        "machine": {"cpu": machine.cpu, "cores": machine.cores},
        **report.line(),
    }


def worsened(new: dict[str, Any], old: dict[str, Any] | None) -> list[str]:
    """The ratios of `new` that are more than WORSE times those of `old`, in words. What only one has is passed over."""
    before = old["ratios"] if old else {}
    return [
        f"{new['part']}: {name} went from {before[name]:.3f} to {ratio:.3f}"
        for name, ratio in new["ratios"].items()
        if name in before and ratio > before[name] * WORSE
    ]


def last_alike(new: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest line of the same part with the same parameters on the same kind of machine."""
    alike = (
        each for each in reversed(lines) if all(each[key] == new[key] for key in ("part", "parameters", "machine"))
    )
    return next(alike, None)


def read(file: Path = RECORD) -> list[dict[str, Any]]:
    """All lines, oldest first; none where there is no file."""
    try:
        return [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines() if text]
    except FileNotFoundError:
        return []


def add(reports: list[Report], file: Path = RECORD) -> list[dict[str, Any]]:
    """Append the reports and give back their lines. Worse, after all were appended, where a ratio worsened."""
    before, machine, commit = read(file), Machine.this(), _commit()
    lines = [line(report, machine, commit, datetime.datetime.now(datetime.UTC)) for report in reports]
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(each) + "\n" for each in lines)
    found = [text for each in lines for text in worsened(each, last_alike(each, before))]
    if found:
        raise Worse("worse by more than 15 %: " + "; ".join(found))
    return lines


def _commit() -> str:
    """The commit measured, `+` where files differ from it; `unknown` outside a repository."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=RESULTS.parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
