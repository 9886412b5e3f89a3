"""Errors that are the user's to mend."""


class UserError(ValueError):
    """Bad input. The message is one line that says what to do; the command line exits with 2."""
