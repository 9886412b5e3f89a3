"""The command line: flags, modes, and what is asked of a model."""

from score_sde.cli.modes import main as main
