"""Reports: one HTML file that opens from disk, without network access, on a phone and in the dark.

A run writes its own as it goes; of any run, finished or not, also afterwards:

    python -m score_sde.report runs/digits_vp     # writes runs/digits_vp/report.html

That of a sweep, which compares runs: python -m score_sde.sweep report experiments/NAME.
"""

from score_sde.report.document import refresh, write

__all__ = ["refresh", "write"]
