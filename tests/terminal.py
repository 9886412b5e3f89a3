"""A process of its own in which command lines and Python are run one after the other.

JAX is imported once, what was compiled is found again, and XLA is told to compile soon rather than
well, by flags that only a new process reads. Otherwise it is what a user has: none of the strictness
that the tests put on.
"""

import ast
import contextlib
import io
import multiprocessing
import os
import runpy
import sys
import traceback
from concurrent.futures import Future, ProcessPoolExecutor

# Half the time of a compilation; what it gives is slow, which for a few steps does not matter.
_SOON = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


class Terminal:
    """The process.

    Args:
        folder: where it works.
        **environment: of it, beside that of the tests.
    """

    def __init__(self, folder, **environment):
        self._process = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(str(folder), environment),
        )

    def run(self, *words):
        """Run `python ...` as if it were typed; its exit code, and what it printed."""
        return self._process.submit(_run, words).result()

    def execute(self, source, name, line=1):
        """Execute Python in the same names each time, as if it stood in a file from a line on.

        As in a notebook, `_` is the value of the expression that it ends with.
        """
        return self._process.submit(_execute, source, name, line).result()

    def holds(self, expression):
        """Whether an expression in these names is true."""
        return self._process.submit(_holds, expression).result()

    def close(self):
        """End it."""
        self._process.shutdown()


_NAMES = {"__name__": "__main__"}


def _begin(folder, environment):
    os.environ.pop("JAX_ENABLE_X64", None)
    os.environ |= {**_SOON, **environment}
    os.chdir(folder)
    from score_sde.sweep import launch

    launch.Local = _Here


def _run(words):
    printed = io.StringIO()
    import time

    c0 = time.process_time()
    w0 = time.time()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            _start(*words)
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    open("/tmp/rd/cpu.txt", "a").write(
        f"{time.process_time() - c0:.2f} {time.time() - w0:.2f} {' '.join(words)[:170]}\n"
    )
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
