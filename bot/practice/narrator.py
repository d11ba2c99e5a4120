"""Tells a practice in the terminal: in colour and with bars on a screen, in whole plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bot.practice.plain_blocks import Line

Bar = Callable[[float, float, str], None]
"""How far it is: done, total, and what is going on. May be called from any thread."""
LOOKS = {"plain": "", "strong": "bold", "small": "dim", "buttons": "cyan"}
INDENT = "   "
HARMLESS = dict.fromkeys([*range(9), *range(10, 32), *range(127, 160), *range(0xD800, 0xE000)], "\ufffd")
"""What people write must not steer the terminal, nor be more than it can show."""


class Narrator:
    """All that a practice says to the person who watches it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self.also: Callable[[str, float, str], None] | None = None
        """Told of every bar too, from any thread: what it is of, which share is done, and what is going on."""

    def act(self, title: str) -> None:
        """A new part."""
        self._print("")
        self._print(f"== {title}", style="bold magenta")

    def say(self, text: str, style: str = "") -> None:
        self._print(text, style=style, prefix=INDENT)

    def does(self, who: str, where: str, what: str) -> None:
        """Somebody types or presses something."""
        self._out(Text.assemble((f"@{who}", "bold cyan"), (f" {where}" if where else "", "dim"), f": {what}"), "")

    def hears(self, who: str, text: str, note: str = "") -> None:
        """Only this person sees it."""
        first, *rest = text.split("\n")
        note = f"  ({note})" if note else ""
        self._out(Text.assemble((f"only @{who} sees: ", "dim"), first, (note, "dim")), INDENT)
        for line in rest:
            self._out(Text(line), INDENT * 2)

    def shows(self, where: str, lines: Sequence[Line]) -> None:
        """A message as it stands."""
        self._out(Text(where, "dim"), INDENT)
        for line in lines:
            self._out(Text(line.text.translate(HARMLESS), LOOKS[line.look]), f"{INDENT}| ")

    def verdict(self, text: str, *, good: bool) -> None:
        """The last line."""
        self._print("")
        self._print(text, style="bold green" if good else "bold red")

    @contextmanager
    def bar(self, what: str, *, notes: bool = True) -> Iterator[Bar]:
        """A progress bar. In a log each new note is a line of its own, unless ``notes`` is False."""
        with ExitStack() as drawn:
            if self._console.is_terminal:
                bar = drawn.enter_context(self._on_screen(what))
            else:
                bar = self._in_log() if notes else _nothing
            yield self._twice(what, bar)

    def _twice(self, what: str, bar: Bar) -> Bar:
        also = self.also
        if also is None:
            return bar

        def told(done: float, total: float, note: str) -> None:
            bar(done, total, note)
            also(what, done / total if total else 0.0, note)

        also(what, 0.0, "")
        return told

    @contextmanager
    def _on_screen(self, what: str) -> Iterator[Bar]:
        columns = (TextColumn(INDENT + "{task.description}"), BarColumn(20), TextColumn("{task.fields[note]}"))
        with Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=None, note="")
            yield lambda done, total, note: progress.update(task, completed=done, total=total, note=note[:60])

    def _in_log(self) -> Bar:
        said: set[str] = set()

        def tell(_done: float, _total: float, note: str) -> None:
            if note not in said:
                said.add(note)
                self.say(f"{time.monotonic() - self._began:5.1f} s  {note}")

        return tell

    def _print(self, text: str, style: str = "", prefix: str = "") -> None:
        self._out(Text(text, style), prefix)

    def _out(self, text: Text, prefix: str) -> None:
        """Wrapped to the screen's width behind the prefix; a log gets the line as it is."""
        if not self._console.is_terminal:
            self._console.print(Text(prefix) + text, soft_wrap=True)
            return
        for part in text.wrap(self._console, max(20, self._console.width - len(prefix))) or [Text()]:
            self._console.print(Text(prefix, "dim") + part)


def _nothing(_done: float, _total: float, _note: str) -> None:
    """What there is to say is said elsewhere."""
