"""How Sphinx builds the site of the pages that publishing.site has written; see __main__.py."""

from score_sde.version import __version__

project = "score_sde"
author = "The score_sde developers"
project_copyright = author
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.mathjax", "publishing.site.navigation"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
myst_dmath_allow_digits = False  # $5 is no formula
myst_fence_as_directive = ["math"]  # a block of mathematics as GitHub has it
mathjax_path = "mathjax.js"  # a copy: nothing is fetched when a page is read
highlight_language = "text"
smartquotes = False  # --mode has two hyphens

html_theme = "furo"
html_title = f"score_sde {__version__}"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
