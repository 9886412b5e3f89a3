"""What is run for a row: command lines, and what they leave behind.

A program's arguments may hold {python}, the interpreter; {run}, the folder of the run; {steps}, the
number of training steps; {seed}, that of the training; and, as an argument of its own, {config}:
--config=FILE and a flag for each field that the row changes.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from score_sde.errors import UserError

CONFIG = "config"  # the change that names the recipe
MAIN = "main.py"
_CONFIG = "{config}"


@dataclasses.dataclass(frozen=True)
class Program:
    """A command line of a pipeline.

    Attributes:
        argv: its arguments, with the placeholders above.
        creates: a path in the run's folder that is there once it has succeeded; "" if nothing but
            the exit code says so.
        collect: name under which what it printed belongs to the evaluation; "" for nothing.
        pattern: regular expression whose named groups are the numbers to collect; "" if it prints
            them as a line of JSON.
        sections: those of "sampling", with "guidance", and "evaluation" that its numbers depend on,
            if it is told the config at all.
        again: more arguments, which change no number and are in no identity: so that it can be run
            again over what it left.
    """

    argv: tuple[str, ...]
    creates: str = ""
    collect: str = ""
    pattern: str = ""
    sections: tuple[str, ...] = ("sampling", "evaluation")
    again: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The sections of the config, beside those of the training, that its numbers depend on."""
        return self.sections if _CONFIG in self.argv else ()

    def expand(self, values: Mapping[str, str], config: Sequence[str]) -> Program:
        """The same with the placeholders filled in.

        Args:
            values: of {python}, {run}, {steps} and {seed}.
            config: the arguments that {config} stands for.

        Raises:
            UserError: there is no such placeholder.
        """

        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                known = ", ".join(f"{{{name}}}" for name in values)
                raise UserError(
                    f"a program has {match[0]} among its arguments: there are {known} and, as an "
                    f"argument of its own, {_CONFIG}"
                )
            return values[match[1]]

        def fill(text: str) -> str:
            return re.sub(r"\{(\w+)\}", value, text)

        argv = [a for t in self.argv for a in (config if t == _CONFIG else [fill(t)])]
        return dataclasses.replace(self, argv=tuple(argv), creates=fill(self.creates))

    def by_module(self) -> Program:
        """The same where there is no checkout, so no main.py: the command that is installed."""
        argv = (part for word in self.argv for part in (_MODULE if word == MAIN else (word,)))
        return dataclasses.replace(self, argv=tuple(argv))

    def collected(self, printed: str) -> dict[str, Any]:
        """What it printed, as part of an evaluation.

        Raises:
            ValueError: it did not print that.
        """
        if not self.collect:
            return {}
        if self.pattern:
            found = list(re.finditer(self.pattern, printed))
            if found:
                numbers = found[-1].groupdict().items()
                return {self.collect: {name: float(number) for name, number in numbers}}
        for line in () if self.pattern else reversed(printed.splitlines()):
            if line.startswith("{"):
                return {self.collect: json.loads(line)}
        raise ValueError(f"did not print {self.pattern or 'a line of JSON'!r}")


def flags(changes: Mapping[str, Any]) -> list[str]:
    """The arguments of main.py that mean these changes."""
    fields = (f"--config.{path}={value}" for path, value in changes.items() if path != CONFIG)
    return [f"--config={changes[CONFIG]}", *fields]


_MODULE = ("-m", "score_sde")
_MAIN = ("{python}", MAIN, _CONFIG, "--workdir={run}")

TRAIN = Program(_MAIN, creates="checkpoints/{steps}")
# Draws config.sampling.num_samples examples into the run's samples.npz.
SAMPLE = Program(
    (*_MAIN, "--mode=sample"),
    creates="samples.npz",
    collect="sampling",
    pattern=r"(?P<nfe>\d+) function evaluations an example",
    sections=("sampling",),
    again=("--overwrite",),
)
# Compares the samples with real digits.
DIGITS = Program(
    ("{python}", "-m", "score_sde.evaluation.digit_quality", "{run}/samples.npz"),
    collect="digits",
)
# Measures what config.evaluation asks for; writes evaluation.json.
EVALUATE = Program((*_MAIN, "--mode=evaluate"), creates="evaluation.json", sections=("evaluation",))
