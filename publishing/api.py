"""What the public API is: every public name with its signature, and every field of a config.

    python -m publishing.api
    python -m publishing.api --write

The first command prints how it differs from publishing/api.txt and publishing/fields.txt, which are
committed, and ends with 1 if it does; the second writes these. A test does what the first does, so
that nothing public changes unnoticed. CONTRIBUTING.md says what may change, and how.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from score_sde import terminal
from score_sde.models import NETWORKS
from score_sde.runs import config as configs
from score_sde.values import describe

# Those with __all__ say what is public; of the others it is what they define, but for _names.
MODULES = (
    "score_sde",
    "score_sde.analytic",
    "score_sde.token_analytic",
    "score_sde.processes",
    "score_sde.prediction",
    "score_sde.objectives",
    "score_sde.samplers",
    "score_sde.guidance",
    "score_sde.latent",
    "score_sde.likelihood",
    "score_sde.models",
    "score_sde.models.conditions",
    "score_sde.spaces",
    "score_sde.fields",
    "score_sde.data",
    "score_sde.data.arrays",
    "score_sde.evaluation.metric",
    "score_sde.runs.config",
    "score_sde.runs.opened",
    "score_sde.sweep",
    "score_sde.errors",
)
FOLDER = Path(__file__).resolve().parent
WIDTH = 100


def names(module: types.ModuleType) -> list[str]:
    """The public names of a module, in the order of the alphabet."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    own = (
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    )
    return sorted(own, key=str.lower)


def members(cls: type, listed: Container[type]) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class, by name.

    Args:
        cls: the class.
        listed: classes that have an entry of their own; what is inherited from one is not repeated.
    """
    for name in sorted(dir(cls)):
        owner = next((one for one in cls.__mro__ if name in vars(one)), object)
        is_public = name == "__call__" or not name.startswith("_")
        is_own = owner is cls or owner not in listed
        if is_public and is_own and owner.__module__.startswith("score_sde"):
            value = vars(owner)[name]
            methods = (types.FunctionType, property, classmethod, staticmethod)
            if isinstance(value, methods) or hasattr(value, "func"):
                yield name, value


def signature(value: Any) -> str:
    """Arguments and result, with annotations as they stand in the code."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [
        one.replace(default=_default(one.default), annotation=_annotation(one.annotation))
        for one in found.parameters.values()
    ]
    result = inspect.Signature.empty  # of a class it is None, or itself
    if not isinstance(value, type):
        result = _annotation(found.return_annotation)
    text = str(found.replace(parameters=parameters, return_annotation=result))
    return text.replace("jax.jaxlib._jax.Array", "jax.Array")  # as older releases of JAX name it


class _Shown:
    """What is printed as this text."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _annotation(value: Any) -> Any:
    """Without quotes where it is a text, as it is under `from __future__ import annotations`."""
    text = getattr(value, "__forward_arg__", value)
    return _Shown(text) if isinstance(text, str) else value


def _default(value: Any) -> Any:
    """Without the address in memory that the repr of a function or an object would have."""
    if " at 0x" in repr(value):
        return _Shown(getattr(value, "__qualname__", type(value).__qualname__))
    return value


def public() -> str:
    """Every public name, by module; one that is another module's too is described once."""
    modules = {path: importlib.import_module(path) for path in MODULES}
    there = {path: [(n, getattr(m, n)) for n in names(m)] for path, m in modules.items()}
    listed = {v for found in there.values() for _, v in found if isinstance(v, type)}
    lines, first = [], {}
    for path, found in there.items():
        lines += ["", path] if lines else [path]
        for name, value in found:
            entry = [*described(name, value, listed)]
            if len(entry) > 1 or "(" in entry[0]:
                where = first.setdefault(id(value), f"{path}.{name}")
                entry = entry if where == f"{path}.{name}" else [f"{name}: {where}"]
            lines += [wrapped(f"    {line}") for line in entry]
    return "\n".join(lines) + "\n"


def described(name: str, value: Any, listed: Container[type]) -> Iterator[str]:
    """The lines of a public name: of a class its arguments, then its members, further in.

    Args:
        name: the name.
        value: what it is.
        listed: as for `members`.
    """
    if isinstance(value, types.ModuleType):
        yield f"{name}: module"
    elif isinstance(value, type):
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        yield f"class {name}{signature(value)}" + (f" is a {', '.join(bases)}" if bases else "")
        for member, one in members(value, listed):
            if isinstance(one, classmethod | staticmethod):
                one = one.__func__
            is_value = isinstance(one, property) or hasattr(one, "func")
            yield f"    {member}" if is_value else f"    {member}{signature(one)}"
    elif callable(value) and (said := signature(value)):
        yield f"{name}{said}"
    elif isinstance(value, dict):
        yield f"{name}: {', '.join(map(str, value))}"
    else:
        yield f"{name}: {type(value).__name__}"


def wrapped(line: str, width: int = WIDTH) -> str:
    """On several lines if it is long, each as far in as the second."""
    further = " " * (len(line) - len(line.lstrip()) + 8)
    return textwrap.fill(
        line, width, subsequent_indent=further, break_on_hyphens=False, break_long_words=False
    )


def fields() -> str:
    """Every field of a config with its default and what it takes; those of networks by network."""
    lines = [
        _field(path, entry)
        for path, entry in configs.entries("unet").items()
        if not path.startswith("model.")
    ]
    for network in NETWORKS:
        lines += ["", f"with model.name = {network!r}"]
        lines += [
            _field(path, entry)
            for path, entry in configs.entries(network).items()
            if path.startswith("model.")
        ]
    return "\n".join(lines) + "\n"


def _field(path: str, entry: configs.Entry) -> str:
    return wrapped(f"{path} = {entry.default!r}; {describe(entry.annotation)}")


FILES = {"api.txt": public, "fields.txt": fields}


def changes(folder: Path = FOLDER) -> list[str]:
    """How what is written in a folder differs from what there is, as lines of a unified diff."""
    found = []
    for name, made in FILES.items():
        path = folder / name
        written = path.read_text().splitlines() if path.exists() else []
        there = made().splitlines()
        found += difflib.unified_diff(written, there, f"publishing/{name}", "now", "", "", 1, "")
    return found


@terminal.program
def main(argv: list[str]) -> int:
    """Print what has changed, or write what there is."""
    parser = terminal.Parser.of("python -m publishing.api", __doc__)
    parser.add_argument("--write", action="store_true")
    if parser.parse_args(argv[1:]).write:
        for name, made in FILES.items():
            (FOLDER / name).write_text(made())
        return 0
    print("".join(f"{line}\n" for line in changes()), end="")
    return 1 if changes() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
