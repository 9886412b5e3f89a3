"""How a number of steps is cut into pieces: by the time that they take."""

import pytest

from score_sde.runs import pace
from score_sde.runs.pace import Pace


@pytest.fixture
def cut(monkeypatch):
    """The lengths of the pieces of a batch whose steps take so many seconds each."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])

    def cut(pace, seconds, compilation=0.0):
        done, lengths = 0, []
        while done < pace.pieces:
            last = pace.after(done)
            with pace.measured(last - done):
                now[0] += compilation + seconds * (last - done)
            compilation = 0.0
            lengths.append(last - done)
            done = last
        return lengths

    return cut


def test_pieces_take_half_a_second_to_two(cut):
    """Of no steps first, however long that compiles; then of four times as many, until it is so."""
    steps = Pace(1000)
    assert cut(steps, 0.01, compilation=60.0) == [0, 1, 4, 16, *[64] * 15, 19]
    assert cut(steps, 0.01) == [*[64] * 15, 40]


def test_steps_that_are_long_are_pieces_of_their_own(cut):
    assert cut(Pace(5), 3.0, compilation=60.0) == [0, 1, 1, 1, 1, 1]


def test_quick_batches_are_one_piece_in_the_end(cut):
    steps = Pace(100)
    assert cut(steps, 1e-5) == [0, 1, 4, 16, 64, 15]
    assert cut(steps, 1e-5) == [100]


def test_what_cannot_be_cut_is_not(cut):
    assert cut(Pace(1), 100.0, compilation=60.0) == [1]
