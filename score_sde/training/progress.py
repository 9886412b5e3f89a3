"""Progress on the terminal: a bar, or plain lines where the output is not a terminal."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TextIO

from tqdm import tqdm


def _has_room(stream: TextIO) -> bool:
    """Whether it is a terminal that says how large it is; some containers' do not."""
    return stream.isatty() and min(os.get_terminal_size(stream.fileno())) > 0


class Progress:
    """Shows how far training is.

    Args:
        start: the step it starts from.
        total: the last step.
        quiet: show nothing (all processes but the first).
    """

    def __init__(self, start: int, total: int, quiet: bool = False):
        self._total, self._quiet = total, quiet
        self._bar = None
        if not quiet and _has_room(sys.stderr):
            layout = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{postfix}"
            self._bar = tqdm(total=total, initial=start, bar_format=layout, dynamic_ncols=True)

    def move(self, step: int) -> None:
        """Move the bar to this step."""
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def report(
        self,
        step: int,
        loss: float,
        examples_per_second: float,
        seconds: float,
        counts: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Show the latest numbers, the seconds that are left at this rate, and what was counted."""
        left = f"{examples_per_second:,.0f} examples/s, {tqdm.format_interval(seconds)} left"
        left = ", ".join([left, *(f"{name} {count:,}" for name, count in counts.items() if count)])
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4g}, {left}")
        else:
            self.say(f"step {step}/{self._total}  loss {loss:.4g}  {left}")

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(line)
        else:
            print(line, flush=True)

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._bar is not None:
            self._bar.close()


EVERY = 10.0  # seconds from a line to the next


class Count:
    """Shows how many of a number are done: one bar in a terminal, elsewhere a line now and then.

    Used as a context, it leaves the terminal tidy.

    Args:
        total: how many there are.
        what: they are, "samples".
        done: those that were there before.
        quiet: show nothing (all processes but the first).
        every: seconds from a line to the next, where it is not a terminal; EVERY if None. The last
            is always said.
        say: prints a line.
    """

    def __init__(
        self,
        total: int,
        what: str,
        done: int = 0,
        quiet: bool = False,
        every: float | None = None,
        say: Callable[[str], None] | None = None,
    ):
        self._total, self._what, self._quiet = total, what, quiet
        self._every = EVERY if every is None else every
        self._say = say or functools.partial(print, flush=True)
        self._before, self._ended = done, False
        self._begin = self._said = time.monotonic()
        self._since: tuple[float, float] | None = None  # when, and what was done, of a rate
        self._bar = None
        if not quiet and _has_room(sys.stderr):
            layout = (
                "{percentage:3.0f}% |{bar}| {n:,.0f}/{total:,} {unit}, {remaining} left{postfix}"
            )
            self._bar = tqdm(
                total=total, initial=done, unit=what, bar_format=layout, dynamic_ncols=True
            )

    def reach(self, done: float, more: str = "") -> None:
        """So many are done, with those that were there before, and parts of those in work.

        As long as nothing is done the time does not run: it goes into compilation. Where nobody
        said so, the first that are done hold it too: no time is said that is left before others.

        Args:
            done: how many.
            more: what else there is to say of them.
        """
        now = time.monotonic()
        if done <= self._before:
            self._begin = self._said = now
            self._since = now, done
        if self._bar is not None:
            self._show(done, more)
        elif not self._quiet:
            self._tell(now, done, more)
        self._since = self._since or (now, done)

    def _show(self, done: float, more: str) -> None:
        bar = self._bar
        if done <= self._before or self._since is None:
            bar.unpause()  # the bar's clock is set too
            bar.start_t = bar.last_print_t
            bar.n = bar.last_print_n = bar.initial = done
        bar.set_postfix_str(more, refresh=self._since is None)
        bar.update(done - bar.n)

    def _tell(self, now: float, done: float, more: str) -> None:
        if done <= self._before or (done < self._total and now - self._said < self._every):
            return
        if self._ended:  # a solver has told that it was at the end of the last batch
            return
        self._ended = done >= self._total
        self._said = now
        words = [f"{int(done):,}/{self._total:,} {self._what}", f"{now - self._begin:.0f} s"]
        if self._since and self._since[1] < done < self._total:
            seconds, count = now - self._since[0], done - self._since[1]
            left = seconds / count * (self._total - done)
            words.append(f"{tqdm.format_interval(left)} left")
        self._say(", ".join([*words, *([more] if more else [])]))

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Count:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
