"""Ten thousand configs that nobody means: a step, or one line that names the field."""

from __future__ import annotations

import collections
import contextlib
import io
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from experiments.faults.answers import answer, clean, step
from experiments.faults.cases import BEYOND, OF_IMAGES, Case, cases
from experiments.faults.place import Place
from experiments.faults.table import Row

CASES = 10_000
_BATCH = 500  # cases of a process: what it has built goes with it
_STEPS, _MORE_STEPS = 100, 25  # of so many that are accepted, one takes a step


def configs(place: Place) -> list[Row]:
    """Accepted, or one line that names one of the fields; of images and vectors."""
    return _rows(place, "configs", "a config with random values of some fields", OF_IMAGES, _STEPS)


def beyond(place: Place) -> list[Row]:
    """The same of text, sound, video, sets of points and molecules."""
    fault = "the same of a config of text, sound, video, points or molecules"
    return _rows(place, "beyond", fault, BEYOND, _MORE_STEPS)


def _rows(place: Place, name: str, fault: str, of: Iterable[str], steps: int) -> list[Row]:
    counts: collections.Counter[str] = collections.Counter()
    seconds: list[float] = []
    batches = range(-(-place.cases // _BATCH))
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for number in batches:
            size = min(_BATCH, place.cases - number * _BATCH)
            asked = size, place.seed + number, tuple(of), steps
            found, took, wrong = pool.submit(_batch, *asked).result()
            counts += found
            seconds += took
            for line in wrong:
                place.say(line)
            place.say(f"{counts['cases']} configs: {_words(counts)}")
    broken = sum(counts[name] for name in _BROKEN)
    return [
        Row(
            name,
            fault,
            _words(counts),
            counts["cases"],
            tuple(seconds),
            broken == 0 and counts["cases"] >= place.cases,
        )
    ]


_BROKEN = ("traceback", "several lines", "without a name")


def _words(counts: collections.Counter[str]) -> str:
    broken = ", ".join(f"{counts[name]} {name}" for name in _BROKEN if counts[name])
    return (
        f"{counts['accepted']} are accepted, of which {counts['a step']} took a step when tried, "
        f"{counts['refused by training']} were refused then by one line, and {counts['large']} "
        f"were too large to try; {counts['refused']} are refused by one line that names a field; "
        f"{broken or 'no traceback'}"
    )


def _batch(
    number: int, first: int, recipes: tuple[str, ...], steps: int
) -> tuple[collections.Counter[str], list[float], list[str]]:
    counts: collections.Counter[str] = collections.Counter()
    seconds: list[float] = []
    wrong: list[str] = []

    def judge(case: Case, ask: Callable[[Case], str | None], named: bool) -> str | None:
        """The answer; what is wrong with it is noted."""
        try:
            with _quiet():
                line = ask(case)
        except Exception:  # what must not be, and is counted
            counts["traceback"] += 1
            wrong.append(f"{case}\n{traceback.format_exc()[-1500:]}")
            return None
        if line and not clean(line):
            counts["several lines"] += 1
            wrong.append(f"{case}\n{line[:2000]}")
        elif line and named and not case.named_in(line):
            counts["without a name"] += 1
            wrong.append(f"{case}\n{line}")
        return line

    @seed(first)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(recipes))
    def of(case: Case) -> None:
        before = counts["traceback"]
        counts["cases"] += 1
        line = judge(case, answer, named=True)
        if counts["traceback"] > before:
            return
        counts["refused" if line else "accepted"] += 1
        if line == "" and counts["accepted"] % steps == steps // 2:
            begin = time.monotonic()
            taken = judge(case, step, named=False)
            if counts["traceback"] == before:
                kinds = {None: "large", "": "a step"}
                counts[kinds.get(taken, "refused by training")] += 1
                if taken:
                    wrong.append(f"note: {case}: {taken}")
                elif taken == "":
                    seconds.append(time.monotonic() - begin)

    of()
    return counts, seconds, wrong


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    with contextlib.redirect_stderr(io.StringIO()) as text:
        yield text
