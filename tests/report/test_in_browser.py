"""Reports in a real browser, on a phone's screen and a desk's, by day and by night."""

import pytest
from browser import chromium

from score_sde import report
from score_sde.sweep import overview

pytestmark = pytest.mark.slow

SCREENS = [(360, 800), (1200, 900)]

OPEN_DETAILS = "document.querySelectorAll('details').forEach(d => d.open = true)"

# Elements that reach beyond the screen, but for those in a box that scrolls by itself.
BEYOND = """
[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll') && !(innerWidth < 640 && e.closest('.pictures')))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 80))
"""

# Contrast of WCAG 2.2 (its definition of relative luminance) with what is behind an element.
CONTRAST = """
(() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => {
    const [r, g, b] = parse(c).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return `${c}`;
    }
  };
  const contrast = (c, e) => {
    const [a, b] = [light(c), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  };
  const all = [...document.querySelectorAll('body *')];
  const hasText = e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
  const texts = all.filter(hasText).map(e => [
    contrast(getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'], e), e.outerHTML]);
  const curves = all.filter(e => e.matches('svg path:not(.grid)')).map(e => [
    contrast(getComputedStyle(e).stroke, e), e.outerHTML]);
  const figure = document.querySelector('figure');
  const palette = [0, 1, 2, 3, 4, 5, 6, 7].map(i => {
    figure.style.color = `var(--c${i})`;
    return [contrast(getComputedStyle(figure).color, figure), `--c${i}`]
  });
  figure.style.color = '';
  const worst = pairs => pairs.reduce((a, b) => a[0] < b[0] ? a : b);
  return {count: texts.length, text: worst(texts), curve: worst([...curves, ...palette])};
})()
"""

# For each chart, the boxes of its texts, its own box, and their size on the screen.
CHARTS = """
[...document.querySelectorAll('svg.chart')].map(svg => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom] };
  return {own: box(svg), texts: [...svg.querySelectorAll('text')].filter(t => t.textContent).map(box),
    size: parseFloat(getComputedStyle(svg.querySelector('text')).fontSize)
      * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width}
})
"""  # noqa: E501

PICTURES = """
[...document.images].map(i => ({natural: i.naturalWidth, alt: i.alt,
  shown: i.getBoundingClientRect().width, style: getComputedStyle(i).imageRendering}))
"""


@pytest.fixture(scope="module")
def page():
    with chromium() as page:
        yield page


@pytest.fixture(params=["run", "study"])
def path(request):
    """Of a run's report and of a study's."""
    if request.param == "run":
        return report.write(request.getfixturevalue("run"))
    return overview.write(request.getfixturevalue("study"))


def test_it_fits_every_screen_by_day_and_by_night(page, path):
    for width, height in SCREENS:
        for dark in (False, True):
            page.open(path, width, height, dark)
            edge = page.pixels()[:, :4].mean()
            assert edge < 40 if dark else edge > 240
            page.evaluate(OPEN_DETAILS)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(BEYOND) == []
            found = page.evaluate(CONTRAST)
            assert found["count"] > 50
            assert found["text"][0] >= 4.5, found
            assert found["curve"][0] >= 3, found


def test_a_wide_table_scrolls_in_its_box(page, study):
    page.open(overview.write(study), *SCREENS[0])
    box = "document.querySelector('.scroll')"
    assert page.evaluate(f"{box}.scrollWidth > {box}.clientWidth")
    assert page.evaluate(f"{box}.scrollLeft = 50, {box}.scrollLeft") == 50
    assert page.evaluate("window.scrollTo(50, 0), window.scrollX") == 0


def test_charts_can_be_read(page, path):
    """Texts are as large as small print, inside their chart, and do not touch."""
    for width, height in SCREENS:
        page.open(path, width, height)
        for chart in page.evaluate(CHARTS):
            assert 10.5 <= chart["size"] <= 15
            left, top, right, bottom = chart["own"]
            assert right - left > 250
            for index, (x0, y0, x1, y1) in enumerate(chart["texts"]):
                assert left <= x0 <= x1 <= right
                assert top - 1 <= y0 <= y1 <= bottom + 1
                for x2, y2, x3, y3 in chart["texts"][:index]:
                    apart = x3 < x0 or x1 < x2 or y3 <= y0 + 3 or y1 <= y2 + 3
                    assert apart, chart


def test_samples_can_be_recognised(page, path):
    """Eight images a row of 8 x 8 pixels: each has 22 pixels of the screen, none smoothed away."""
    for width, height in SCREENS:
        page.open(path, width, height)
        pictures = page.evaluate(PICTURES)
        assert len(pictures) in (5, 6)
        for picture in pictures:
            assert picture["natural"] == 8 * 34 + 2, picture
            assert picture["shown"] >= 8 * 22, picture
            assert picture["style"] == "pixelated"


def test_nothing_is_asked_of_any_network(page, path):
    page.open(path, *SCREENS[1])
    first, *others = page.requests()
    assert first == path.as_uri()
    assert all(url.startswith("data:") for url in others)
    assert page.complaints() == []
    assert page.evaluate("document.title") != "run"
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.querySelectorAll('main').length") == 1


def test_the_page_itself_forbids_what_would_be_loaded_or_run(page, path):
    """Whatever gets into it: the policy is in force."""
    added = """
    <script>document.title = "hacked"</script>
    <img src="http://127.0.0.1:9/x.png" onerror="document.title = 'hacked'">
    <link rel="stylesheet" href="http://127.0.0.1:9/x.css">
    <iframe src="http://127.0.0.1:9/"></iframe>
    """
    copy = path.with_name("copy.html")
    copy.write_text(path.read_text().replace("</main>", f"{added}</main>"))
    page.open(copy, *SCREENS[1])
    assert page.evaluate("document.title") != "hacked"
    assert len(page.complaints()) >= 4, page.complaints()
    assert all("Content Security Policy" in text for text in page.complaints())
