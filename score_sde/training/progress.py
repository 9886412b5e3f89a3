"""Progress on the terminal: a bar, or plain lines where the output is not a terminal."""

from __future__ import annotations

import os
import sys
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

    def report(self, step: int, loss: float, examples_per_second: float, seconds: float) -> None:
        """Show the latest numbers, and the seconds that are left at this rate."""
        left = f"{examples_per_second:,.0f} examples/s, {tqdm.format_interval(seconds)} left"
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
