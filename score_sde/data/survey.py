"""Looking at all examples of a set before any is used, in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from score_sde.errors import UserError

Item = TypeVar("Item")
Found = TypeVar("Found")


def survey(
    look: Callable[[Item], Found], items: Iterable[Item], skip_damaged: bool
) -> list[Found | UserError]:
    """What is seen of each item.

    Args:
      look: at one item; raises a UserError if it is damaged. It is called from several threads.
      items: what to look at.
      skip_damaged: give the error in place of what would have been seen.

    Raises:
      UserError: of the first damaged item, unless these are skipped.
    """

    def one(item: Item) -> Found | UserError:
        try:
            return look(item)
        except UserError as error:
            if not skip_damaged:
                raise
            return error

    # More threads than cores: headers wait for the disk.
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) * 4)) as pool:
        return list(pool.map(one, items))


def note(seen: Sequence[object]) -> str:
    """A line that says how many were damaged, and the first; empty if none was."""
    errors = [one for one in seen if isinstance(one, UserError)]
    if not errors:
        return ""
    return f"{len(errors)} of {len(seen)} images are damaged and left out, the first: {errors[0]}"
