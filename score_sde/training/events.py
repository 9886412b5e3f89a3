"""TensorBoard event files, written in the thread that calls.

tensorboardX's SummaryWriter writes in a thread of its own: where that cannot write, it dies with a
traceback, and who gives it ten more numbers waits for ever.
"""

from __future__ import annotations

import time
from pathlib import Path

# Seconds between the times that events reach the disk.
FLUSH_EVERY = 60


class Events:
    """Numbers for TensorBoard.

    Args:
        folder: where the file goes; made, in one that is there.
        first_step: TensorBoard forgets what other files of the folder say from this step on.

    Raises:
        OSError: here and in every method: it cannot be written.
    """

    def __init__(self, folder: Path, first_step: int):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(exist_ok=True)
        self._file = EventsWriter(str(folder / "events"))
        self._file.write_event(Event(step=first_step, file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._file.write_event(Event(step=first_step, session_log=start))
        self._file.flush()
        self._flushed = time.monotonic()

    def write(self, step: int, **values: float) -> None:
        """Add numbers by name."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            event = Event(step=step, wall_time=time.time(), summary=scalar(name, value))
            self._file.write_event(event)
        if time.monotonic() - self._flushed > FLUSH_EVERY:
            self._file.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        self._file.close()
