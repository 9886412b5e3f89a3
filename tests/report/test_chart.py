"""Ticks, their labels, and where points lie."""

import math
import re

import pytest

from score_sde.report import chart
from score_sde.report.chart import Axis, Point

LEFT, RIGHT, TOP, BOTTOM = 54, 302, 8, 174  # of what is drawn


def points(svg):
    """The points of each curve, in units of the picture."""
    paths = re.findall(r'<path d="M([^"H]*)" fill="none"', svg)
    return [[tuple(map(float, p.split())) for p in path.split("L")] for path in paths]


def test_points_lie_where_the_axes_say():
    curve = [Point(0, 0), Point(5, 50), Point(10, 100)]
    (places,) = points(chart.line_chart({"a": curve}, "a curve", Axis("x"), Axis()))
    assert places == [(LEFT, BOTTOM), ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2), (RIGHT, TOP)]


def test_a_logarithmic_axis_halves_at_the_geometric_mean():
    curve = [Point(1, 1), Point(10, 100), Point(100, 10_000)]
    axis = Axis("x", log=True)
    (places,) = points(chart.line_chart({"a": curve}, "a curve", axis, Axis(log=True)))
    assert places == [(LEFT, BOTTOM), ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2), (RIGHT, TOP)]


def test_an_axis_from_zero():
    curve = [Point(50, 1200), Point(100, 1500)]
    svg = chart.line_chart({"a": curve}, "a curve", Axis("x", zero=True), Axis(zero=True))
    ((x, y), last) = points(svg)[0]
    assert last == (RIGHT, TOP)
    assert x == (LEFT + RIGHT) / 2
    assert y == pytest.approx(TOP + (BOTTOM - TOP) * 0.2, abs=0.1)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-30, 1e30])
@pytest.mark.parametrize("log", [False, True])
def test_one_point_is_drawn_inside(value, log):
    svg = chart.line_chart({"a": [Point(7, value)]}, "a point", Axis("x"), Axis(log=log))
    if log and value <= 0:
        assert svg == ""
        return
    (((x, y),),) = points(svg)
    assert LEFT <= x <= RIGHT
    assert TOP <= y <= BOTTOM
    assert "<circle" in svg


def test_what_cannot_be_drawn_is_left_out():
    bad = [Point(1, math.nan), Point(2, math.inf), Point(math.nan, 1)]
    assert chart.line_chart({"a": bad, "b": []}, "nothing", Axis(), Axis()) == ""
    log = Axis(log=True)
    svg = chart.line_chart({"a": [*bad, Point(3, 0), Point(4, 5)]}, "one", Axis(), log)
    assert len(points(svg)) == len(points(svg)[0]) == 1


def test_the_place_of_a_curve_determines_its_colour():
    """So that runs which lack a column keep their colours in the next chart."""
    line = [Point(0, 1), Point(1, 2)]
    svg = chart.line_chart({"a": [], "b": line}, "b", Axis(), Axis())
    assert "var(--c1)" in svg
    assert "var(--c0)" not in svg
    many = chart.legend([str(n) for n in range(24)])
    strokes = re.findall(r'stroke="([^"]*)".*?stroke-dasharray="([^"]*)"', many)
    assert len(set(strokes)) == 24


def test_an_error_bar_stays_inside():
    """Also where value - error is not positive, on a logarithmic axis."""
    curve = [Point(1, 1.0, 2.0), Point(2, 10.0, 1.0)]
    for y in (Axis(log=True), Axis()):
        svg = chart.line_chart({"a": curve}, "bars", Axis("x"), y)
        bars = [tuple(map(float, bar)) for bar in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", svg)]
        assert len(bars) == 2
        assert all(TOP <= top <= bottom <= BOTTOM for bottom, top in bars)


def test_thinning_keeps_the_mean_and_the_end():
    curve = [Point(n, n % 7) for n in range(10_000)]
    thinned = chart.thin(curve)
    assert 250 < len(thinned) <= 300
    assert thinned[-1] == curve[-1]
    size = len(curve) // (len(thinned) - 1) + 1
    assert thinned[0] == Point((size - 1) / 2, sum(n % 7 for n in range(size)) / size)
    assert chart.thin(curve[:300]) == curve[:300]


def test_ticks():
    assert chart.ticks(0, 1000, 5) == [0, 200, 400, 600, 800, 1000]
    assert chart.ticks(-3, 11, 5) == [0, 5, 10]
    assert chart.ticks(0.0013, 0.0019, 5) == pytest.approx([0.0014, 0.0016, 0.0018])
    assert chart.ticks(4, 4, 5) == [4]
    assert chart.log_ticks(0.5, 2e4) == [1, 10, 100, 1000, 10_000]
    assert chart.log_ticks(0.08, 0.6) == pytest.approx([0.1, 0.2, 0.5])
    assert chart.log_ticks(2.1, 2.4) == pytest.approx([2.1, 2.2, 2.3, 2.4])


@pytest.mark.parametrize("low", [1e-9, 0.003, 1.0, 470.0, 3e7])
@pytest.mark.parametrize("span", [1.001, 1.7, 30.0, 1e5])
def test_ticks_are_few_round_and_inside(low, span):
    for found in (chart.ticks(low, low * span, 5), chart.log_ticks(low, low * span)):
        assert 1 <= len(found) <= 7
        assert all(low * (1 - 1e-9) <= tick <= low * span * (1 + 1e-9) for tick in found)
        assert found == sorted(set(found))


def test_labels():
    assert chart.labels([0, 0.05, 0.1]) == ["0", "0.05", "0.10"]
    assert chart.labels([0, 500, 1000, 1500]) == ["0", "500", "1000", "1500"]
    assert chart.labels([0, 500_000, 1_000_000]) == ["0", "500k", "1000k"]
    assert chart.labels([0, 5e6, 1e7]) == ["0", "5M", "10M"]
    assert chart.labels([0, 1e-4, 2e-4]) == ["0", "1e-4", "2e-4"]
    assert chart.labels([2.05, 2.1]) == ["2.05", "2.10"]
    wide = [2e-5, 1e-3, 0.5, 1, 1000, 1e5, 1e7]
    assert chart.labels(wide, log=True) == ["2e-5", "0.001", "0.5", "1", "1000", "100k", "10M"]
