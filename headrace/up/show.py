"""What a person sees while an installation comes up, and what is printed when it has."""

from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


class Show:
    """Progress on standard error, one line a step. Quiet where nobody looks (no terminal and JSON wanted)."""

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(stderr=True, quiet=quiet)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("[dim]{task.fields[note]}[/]"),
            TimeElapsedColumn(),
            console=self.console,
        )

    def __enter__(self) -> "Show":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, text: str) -> TaskID:
        """Begin a step."""
        return self._progress.add_task(escape(text), total=1.0, note="")

    def update(self, step: TaskID, fraction: float, note: str = "") -> None:
        """How far a step is, 0..1; 1 ends it."""
        self._progress.update(step, completed=fraction, note=escape(note))

    def note(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text)

    def summary(self, line: dict[str, Any], *, state: Path, notes: list[str]) -> None:
        """Everything a person wants to open or copy; the playlist unfolded, for a folded URL cannot be copied."""
        self.console.print(_panel(line, state, notes))
        self.console.print("Playlist, for curl, ffplay or VLC:")
        self.console.print(line["playlist"], soft_wrap=True, markup=False, highlight=False)


def _panel(line: dict[str, Any], state: Path, notes: list[str]) -> Panel:
    at = "" if state == Path(".headrace").resolve() else f" --at {state / 'run.json'}"
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("Watch", f"[link={line['player']}]{line['player']}[/link]")
    table.add_row("Console", line["console"])
    table.add_row("API", line["origin"])
    for edge in line["edges"]:
        table.add_row("Edge", f"{edge['id']} ({edge['region']})  {edge['url']}  pid {edge['pid']}")
    table.add_row("Operator", escape(f"bearer token in {state / 'operator.token'}"))
    table.add_row("Check", escape(f"headrace doctor{at}"))
    table.add_row("Stop", "Ctrl-C here, or SIGTERM to this process")
    for text in notes:
        table.add_row("Note", text)
    return Panel(table, title="Headrace is up", expand=False)
