"""How far something is: lines now and then in a file, one bar in a terminal."""

import io

import pytest

from score_sde.training import progress
from score_sde.training.progress import Count


@pytest.fixture
def clock(monkeypatch):
    """The time, which stands still until it is set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_say_how_much_is_left(clock):
    """By the rate of what was done here, but for the first, which hold what was compiled.

    The ten that were there before took no time.
    """
    said = []
    count = Count(1010, "samples", done=10, every=0.0, say=said.append)
    for clock[0], done in ((2.0, 510), (4.0, 760), (5.0, 1010)):
        count.reach(done)
    assert said == [
        "510/1,010 samples, 2 s",
        "760/1,010 samples, 4 s, 00:02 left",
        "1,010/1,010 samples, 5 s",
    ]


def test_lines_come_now_and_then_and_the_last_always(clock):
    said = []
    count = Count(100, "examples", say=said.append)
    for clock[0] in range(1, 26):
        count.reach(4 * clock[0])
    assert [line.split()[0] for line in said] == ["40/100", "80/100", "100/100"]
    Count(4, "examples", quiet=True, say=said.append).reach(4)
    assert len(said) == 3


def test_parts_of_a_batch_count_and_compilation_does_not(clock):
    """As long as nothing is done, time does not run; a line says how many are done, cut."""
    said = []
    count = Count(10, "samples", done=2, every=0.0, say=said.append)
    clock[0] = 60.0
    count.reach(2.0)
    for clock[0], done in ((61.0, 2.5), (64.0, 6.0)):
        count.reach(done, "3.1 bits/dim")
    assert said == [
        "2/10 samples, 1 s, 00:15 left, 3.1 bits/dim",
        "6/10 samples, 4 s, 00:04 left, 3.1 bits/dim",
    ]


def test_in_a_terminal_no_time_is_left_of_what_was_compiled(monkeypatch):
    """What the bar itself takes for the time of the first that are done would be an hour."""
    monkeypatch.setattr(progress, "_has_room", lambda stream: True)
    monkeypatch.setattr(progress.sys, "stderr", terminal := io.StringIO())
    with Count(1000, "samples") as count:
        count._bar.start_t -= 60
        count._bar.last_print_t -= 60
        count.reach(16)
        assert "16/1,000 samples, ? left" in terminal.getvalue()
        count._bar.start_t -= 2
        count._bar.last_print_t -= 2
        count.reach(272)
        assert "272/1,000 samples, 00:05 left" in terminal.getvalue()


def test_in_a_terminal_it_is_one_bar(monkeypatch):
    monkeypatch.setattr(progress, "_has_room", lambda stream: True)
    monkeypatch.setattr(progress.sys, "stderr", terminal := io.StringIO())
    said = []
    count = Count(8, "samples", say=said.append)
    with count:
        for done in (0, 0.5, 4, 6.5, 8):
            count.reach(done, "and more")
    assert said == []
    assert "8/8 samples, 00:00 left, and more" in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1
