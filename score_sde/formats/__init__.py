"""File formats of other projects. Nothing in a file is ever executed."""
