"""What the docstrings of public names leave out, as far as a program can tell.

    python -m publishing.gaps

It prints a line for each gap and ends with 1 if there is any. A docstring says of a function, a
class and a method

- every argument, under "Args:" or "Attributes:" or, where it is short, by its name;
- the shape of every array, in brackets ("[batch, *data]") or as that of another;
- what is returned, under "Returns:" or in its first sentences, with the shape of an array;
- each error that the code there raises;
- of an algorithm where it is from: a paper with its arXiv number, or its year.

A method that overrides a documented one is documented by it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from publishing import api
from score_sde import sections, terminal
from score_sde.evaluation import metrics
from score_sde.guidance import RULES
from score_sde.models import NETWORKS
from score_sde.objectives import OBJECTIVES
from score_sde.processes import PROCESSES
from score_sde.runs import config as configs
from score_sde.samplers import SAMPLERS
from score_sde.values import describe

# What is an algorithm, and so is somebody's.
ALGORITHMS: Mapping[str, Mapping[str, Any]] = {
    "process": PROCESSES,
    "sampler": SAMPLERS,
    "objective": OBJECTIVES,
    "guidance": RULES,
    "metric": metrics.METRICS,
    "network": NETWORKS,
}
SOURCE = re.compile(r"arXiv[: ]*\d{4}\.\d{4,5}|\b\d{4}\.\d{5}\b|\b(?:19|20)\d\d\b")
ARRAY = re.compile(r"\b(?:jax\.Array|np\.ndarray|numpy\.ndarray|ArrayLike|jaxlib\._jax\.Array)\b")
# A container of arrays has no shape of its own: a mapping, a function, a pair.
CONTAINER = re.compile(r"\b(?:Mapping|dict|Callable|Sequence|list|Iterator)\[")
SHAPE = re.compile(
    r"\[[^\]]*\]|\b[Ss]hapes?\b|\bscalar\b|\bbroadcasts?\b|\b[Ss]ee\b|\bas (?:for|of|in)\b"
)
# What says that its arguments are those of another.
DELEGATED = re.compile(r"\barguments (?:and errors )?as (?:for|of)\b|^See |; see `\w+`\.")
KEYS = ("key", "keys", "rngs")  # of random numbers; their shape is said in score_sde.keys
FIELDS = "__dataclass_fields__"
ITSELF = ("self", "cls")


def gaps() -> Iterator[str]:
    """Every gap, as a line that begins with the name."""
    seen: set[int] = set()
    for path in api.MODULES:
        module = importlib.import_module(path)
        if not (module.__doc__ or "").strip():
            yield f"{path}: no docstring"
        for name in api.names(module):
            value = getattr(module, name)
            if id(value) in seen or not str(getattr(value, "__module__", "")).startswith("score"):
                continue
            seen.add(id(value))
            if isinstance(value, type):
                yield from of_class(f"{path}.{name}", value)
            elif isinstance(value, types.FunctionType):
                yield from of_function(f"{path}.{name}", value)
    for kind, family in ALGORITHMS.items():
        for name, member in family.items():
            yield from of_algorithm(f"{kind} {name}", member)
    yield from of_fields()


def of_class(path: str, cls: type) -> Iterator[str]:
    """Gaps of a class: its arguments, and methods that none of its bases has."""
    if not (cls.__dict__.get("__doc__") or "").strip():
        yield f"{path}: no docstring"
        return
    said = {name: text for name, text in sections.meanings(cls).items() if text}
    text = inspect.cleandoc(cls.__doc__ or "")
    for name, annotation in constructed(cls).items():
        yield from of_argument(path, name, annotation, said.get(name), text)
    for name, value in api.members(cls, set()):
        function = getattr(value, "__func__", None) or getattr(value, "fget", None)
        function = function or getattr(value, "func", None) or value
        inherited = any(
            getattr(getattr(base, name, None), "__doc__", None) for base in cls.__mro__[1:]
        )
        own = name in vars(cls) and not inherited and name not in cls.__dict__.get(FIELDS, ())
        if own and isinstance(function, types.FunctionType):
            yield from of_function(f"{path}.{name}", function)


def constructed(cls: type) -> dict[str, str]:
    """The arguments of a class with their annotations as text; none of a Protocol."""
    if getattr(cls, "_is_protocol", False) or issubclass(cls, BaseException):
        return {}
    try:
        parameters = inspect.signature(cls).parameters
    except (TypeError, ValueError):
        return {}
    if list(parameters) == ["args", "kwargs"]:  # a network, whose metaclass calls __init__
        parameters = inspect.signature(cls.__init__).parameters
    return {n: _text(p.annotation) for n, p in parameters.items() if n not in ITSELF}


def of_function(path: str, function: types.FunctionType) -> Iterator[str]:
    """Gaps of a function or a method."""
    text = inspect.getdoc(function) or ""
    if not text.strip():
        yield f"{path}: no docstring"
        return
    said = named(text)
    parameters = inspect.signature(function).parameters
    for name, parameter in parameters.items():
        if name not in ITSELF:
            yield from of_argument(path, name, _text(parameter.annotation), said.get(name), text)
    given = _text(inspect.signature(function).return_annotation)
    if is_array(given):
        _, _, returned = text.partition("Returns:")
        if not SHAPE.search(returned or text.partition("Args:")[0]):
            yield f"{path}: the shape of what it returns"
    for error in sorted(raised(function)):
        if error not in text and not DELEGATED.search(text):
            yield f"{path}: raises {error}"


def is_array(annotation: str) -> bool:
    """Whether it is of an array, or several, and of no container of them."""
    return bool(ARRAY.search(annotation) and not CONTAINER.search(annotation))


def of_argument(
    path: str, name: str, annotation: str, meaning: str | None, text: str
) -> Iterator[str]:
    """Gaps of an argument.

    Args:
        path: of what it is an argument.
        name: of the argument.
        annotation: as text.
        meaning: what a section of the docstring says of it, if one does.
        text: the docstring.
    """
    if DELEGATED.search(text):
        return
    if meaning is None and not re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text):
        yield f"{path}: the argument {name}"
    elif name not in KEYS and is_array(annotation) and not SHAPE.search(meaning or text):
        yield f"{path}: the shape of {name}"


def of_algorithm(path: str, member: Any) -> Iterator[str]:
    """The gap of an algorithm that does not say where it is from: its class, or its file."""
    made = getattr(member, "func", member)
    texts = [inspect.getdoc(made) or "", sys.modules[made.__module__].__doc__ or ""]
    if not any(map(SOURCE.search, texts)):
        yield f"{path}: its source ({made.__module__})"


def of_fields() -> Iterator[str]:
    """Gaps of the fields of configs: what they mean, and what they may be."""
    for network in NETWORKS:
        for path, entry in configs.entries(network).items():
            if not entry.meaning.strip():
                yield f"config.{path} of {network}: its meaning"
            if not describe(entry.annotation):
                yield f"config.{path} of {network}: what it takes"


def named(text: str) -> dict[str, str]:
    """What a docstring says under "Args:" or "Attributes:", by name; stars are no part of one."""
    holder = type("Holder", (), {"__doc__": text})
    return {name.lstrip("*"): said for name, said in sections.meanings(holder).items()}


def raised(function: Callable[..., Any]) -> set[str]:
    """The names of the errors that stand in a function's own code after `raise`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return set()
    caught = {
        id(one)
        for tried in ast.walk(tree)
        if isinstance(tried, ast.Try)
        for part in tried.body
        for one in ast.walk(part)
    }
    found = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Call)
            and id(node) not in caught
        ):
            name = node.exc.func
            if isinstance(name, ast.Name) and name.id[0].isupper():
                found.add(name.id)
    return found - {"NotImplementedError"}


def _text(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty or annotation is None:
        return ""
    return annotation if isinstance(annotation, str) else repr(annotation)


@terminal.program
def main(argv: list[str]) -> int:
    """Print the gaps."""
    terminal.Parser.of("python -m publishing.gaps", __doc__).parse_args(argv[1:])
    found = list(dict.fromkeys(gaps()))
    print("".join(f"{line}\n" for line in found), end="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
