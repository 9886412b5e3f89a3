"""YAML in which dictionaries are written as Python's argparse.Namespace, read as data.

The configs beside the checkpoints of NCSN and NCSNv2 are of this kind. Any other tag of Python is
refused, and nothing is constructed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from score_sde.formats.restricted import Refused, Unreadable, line, reading

_NAMESPACE = "tag:yaml.org,2002:python/object:argparse.Namespace"
_LARGEST = 2**20  # bytes; the authors' configs have 1,000


class _Loader(yaml.SafeLoader):
    """The plain values of YAML, and Namespaces."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        # A few references to references would make values of any size.
        if self.check_event(yaml.AliasEvent):
            raise Refused("a reference in YAML is refused")
        return super().compose_node(parent, index)

    def construct_undefined(self, node: yaml.Node) -> Any:
        raise Refused(f"the file asks for {line(node.tag)}; only plain values are read")


_Loader.add_constructor(_NAMESPACE, lambda loader, node: loader.construct_mapping(node, deep=True))
_Loader.add_constructor(None, _Loader.construct_undefined)


def load(path: str | Path) -> Any:
    """What a file says, with dictionaries in place of Namespaces.

    Raises:
        ValueError: the file is damaged, or not of this format.
        pickle.UnpicklingError: it asks for something of Python; the message names it.
    """
    path = Path(path)
    with reading(path, "text"):
        if path.stat().st_size > _LARGEST:
            raise Unreadable(f"is refused: it is larger than {_LARGEST:,} bytes")
        try:
            return yaml.load(path.read_bytes(), _Loader)
        except yaml.YAMLError as error:
            raise Unreadable(f"is not YAML: {type(error).__name__}") from error
