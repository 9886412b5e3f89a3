"""Compiling sooner: what tests run is small, and most of their time is XLA's.

With fewer of LLVM's optimisations, without its fusion emitters and without splitting a program into
parts, XLA compiles for a CPU in half of the time. What programs tell XLA is told too. A jaxlib
that does not know a flag stops at it, so it is asked first, once for all processes of a session.
Importing this module, before JAX is used, sets them for this process.

Its preset FAST_COMPILE saves a fifth of the rest, and with it XLA crashed once in a whole run of
the tests (a segmentation fault in compilation, JAX 0.10.2): it is left out.
"""

import collections
import functools
import hashlib
import itertools
import os
import subprocess
import sys

_FASTER = (
    "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1 "
    "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
)
_KNOWN = "SCORE_SDE_TESTS_XLA_FLAGS"  # in the environment of a session's processes


def _known():
    """The flags, or "" if XLA lacks one of them."""
    code = "import jax; jax.numpy.zeros(()).block_until_ready()"
    environment = os.environ | {"XLA_FLAGS": _FASTER, "JAX_PLATFORMS": "cpu"}
    tried = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    return _FASTER if tried.returncode == 0 else ""


if _KNOWN not in os.environ:
    os.environ[_KNOWN] = _known()
FLAGS = os.environ[_KNOWN]
os.environ["XLA_FLAGS"] = " ".join(
    dict.fromkeys([*FLAGS.split(), *os.environ.get("XLA_FLAGS", "").split()])
)


def share_dialects():
    """Load MLIR's dialects once for 64 programs: a seventh of the time of a small one.

    JAX loads them for each. For no more than 64, as what programs are made of is kept with them.
    """
    from jax._src.interpreters import mlir

    if not hasattr(mlir, "make_ir_context"):
        return  # a JAX that does so elsewhere: all else is the same
    load = mlir.make_ir_context
    loaded = functools.lru_cache(maxsize=1)(lambda _: load())
    count = itertools.count()
    mlir.make_ir_context = lambda: loaded(next(count) // 64)


def share_executables(most=256):
    """Compile no more what this process compiled before, whoever traced it; the last are kept.

    JAX knows a program by the functions that it was traced from, and tests make many alike. To load
    one that is found on disk takes a third of the time of compiling it.
    """
    from jax._src import cache_key, compiler

    names = {"compile_or_get_cached": compiler, "_canonicalize_ir": cache_key}
    if not all(hasattr(module, name) for name, module in names.items()):
        return  # a JAX that compiles elsewhere: all else is the same
    compiled, kept = compiler.compile_or_get_cached, collections.OrderedDict()
    # That nothing is left out of the text, as JAX 0.10 and 0.12 are told.
    callbacks_too = getattr(getattr(cache_key, "IgnoreCallbacks", None), "NO", False)

    @functools.wraps(compiled)
    def found(backend, program, devices, options, callbacks, *more):
        if callbacks:  # they are those of one function
            return compiled(backend, program, devices, options, callbacks, *more)
        text = cache_key._canonicalize_ir(program, callbacks_too)
        key = (backend, options.SerializeAsString(), hashlib.sha256(text).digest())
        if key not in kept:
            kept[key] = compiled(backend, program, devices, options, callbacks, *more)
        kept.move_to_end(key)
        while len(kept) > most:
            kept.popitem(last=False)
        return kept[key]

    compiler.compile_or_get_cached = found
