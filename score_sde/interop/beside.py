"""What a file does not say of its network, in a file beside it: FILE.json for FILE.pt.

It holds the arguments of the network's constructor by their authors' names, at the top or under
"constructor"; for example {"num_heads": 4, "use_new_attention_order": true}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from score_sde import records

_LARGEST = 1 << 20  # bytes
_SWITCHES = ("use_", "rescale_")


def arguments(path: Path) -> dict[str, Any]:
    """The arguments beside a released file; {} where there are none.

    Raises:
        ValueError: what is there is no JSON object, or a switch is neither true nor false.
    """
    beside = path.with_suffix(".json")
    if beside == path or not beside.exists():
        return {}
    try:
        if beside.stat().st_size > _LARGEST:
            raise ValueError("is too large")
        found = records.read(beside) or {}
    except ValueError as error:
        raise ValueError(f"{beside} beside it {error}") from error
    inner = found.get("constructor", found)
    if not isinstance(inner, dict):
        raise ValueError(f"{beside} beside it has no arguments under constructor")
    for name, value in inner.items():
        if name.startswith(_SWITCHES) and not isinstance(value, bool):
            raise ValueError(f"{beside} beside it: {name} is true or false")
    return inner
