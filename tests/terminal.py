"""A process of its own in which command lines and Python are run one after the other.

JAX is imported once, what was compiled is found again, and XLA compiles soon rather than well. The
tests' strictness, such as of ranks, is not in it: it is what a user has.
"""

import ast
import atexit
import contextlib
import gc
import io
import multiprocessing
import os
import runpy
import sys
import traceback
from concurrent.futures import Future, ProcessPoolExecutor

import fast_compilation
from program import environment


class Terminal:
    """The process; a context that ends it.

    Args:
        folder: where it works.
        devices: how many (virtual) CPU devices it has.
        **more: of its environment.
    """

    def __init__(self, folder, devices=1, **more):
        soon = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        self._process = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(str(folder), environment(devices, **soon, **more)),
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def run(self, *words):
        """Run `python ...` as if it were typed; its exit code, and what it printed."""
        return self._submit(_run, words)

    def execute(self, source, name, line=1):
        """Execute Python in the same names each time, as if it stood in a file from a line on.

        As in a notebook, `_` is the value of the expression that it ends with.
        """
        self._submit(_execute, source, name, line)

    def holds(self, expression):
        """Whether an expression in these names is true."""
        return self._submit(_holds, expression)

    def close(self):
        """End it."""
        self._process.shutdown()

    def _submit(self, function, *arguments):
        return self._process.submit(function, *arguments).result(timeout=300)


_NAMES = {"__name__": "__main__"}


def collect_seldom():
    """An eighth of the time goes into looking for cycles among what JAX keeps; at the end too."""
    gc.set_threshold(100_000, 20, 50)
    atexit.register(gc.freeze)


def _begin(folder, variables):
    collect_seldom()
    os.environ.clear()
    os.environ |= variables
    os.chdir(folder)
    fast_compilation.share_dialects()
    fast_compilation.share_executables()
    from score_sde.sweep import launch

    launch.Local = _Here


def _run(words):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            _start(*words)
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    return code, printed.getvalue()


def _start(python, program, *arguments):
    before = sys.argv
    try:
        if program == "-m":
            sys.argv = list(arguments)
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [program, *arguments]
            runpy.run_path(program, run_name="__main__")
    finally:
        sys.argv = before


def _execute(source, name, line):
    tree = ast.parse("\n" * (line - 1) + source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), _NAMES)
    if last is not None:
        _NAMES["_"] = eval(compile(ast.Expression(last.value), name, "eval"), _NAMES)


def _holds(expression):
    return bool(eval(expression, _NAMES))


class _Here:
    """A launcher of sweeps that runs the programs of a job in this process, at once."""

    def __init__(self, slots):
        self.slots = 1

    def start(self, job):
        from score_sde.sweep.job import execute

        done = Future()
        try:
            done.set_result(execute(job, _Program))
        except Exception as error:
            done.set_exception(error)
        return done

    def stop(self):
        pass


class _Program:
    """As much of a Popen as a job asks for."""

    def __init__(self, argv, cwd, stdout, **_):
        with contextlib.chdir(cwd):
            self._code, printed = _run(argv)
        stdout.write(printed.encode())
        stdout.flush()
        self.pid = os.getpid()

    def wait(self):
        return self._code
