"""Runs: from a config to objects, training, drawing, and the folder that a run lives in."""
