"""What programs print: none ends with a traceback because a line cannot be printed."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, ParamSpec, TextIO

from score_sde import interrupts
from score_sde.errors import UserError

P = ParamSpec("P")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage: as a UserError, that a program prints."""

    @classmethod
    def of(cls, program: str, doc: str | None) -> Parser:
        """Without flags yet; its help shows the docstring of the program's module as it stands."""
        raw = argparse.RawDescriptionHelpFormatter
        return cls(program, description=doc, formatter_class=raw, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        raise UserError(f"{message}; see {self.prog} --help")


def without(words: Sequence[str], flag: str) -> list[str]:
    """The words of a command line but for a flag with its value, wherever the value stands."""
    rest, kept = iter(words), []
    for word in rest:
        if word == flag:
            next(rest, None)
        elif not word.startswith(f"{flag}="):
            kept.append(word)
    return kept


class NobodyReads(BaseException):
    """What is printed goes into a pipe whose reader, such as head, has ended."""


class _Wrapped:
    """A stream that is printed to; the methods that it has not are those of the stream."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with self._told():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._told():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _told(self) -> contextlib.AbstractContextManager[None]:
        """In which it is printed; what that raises is turned into what is to be raised."""
        raise NotImplementedError


class _Stream(_Wrapped):
    """A stream of a program.

    Characters that its encoding lacks are escaped. A failure silences it, so that the end of the
    process does not fail too, and is a NobodyReads, or else a UserError of one line.
    """

    def write(self, text: str) -> int:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return super().write(text.encode(encoding, "backslashreplace").decode(encoding))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self._silence()
            raise NobodyReads from error
        except OSError as error:
            self._silence()
            raise UserError(f"cannot print: {error.strerror or error}") from error

    def _silence(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


class Deferred:
    """While entered, what cannot be printed is no error yet: there is work to bring to safety.

    Attributes:
        error: what the first print that failed would have raised; None so far.
    """

    def __init__(self):
        self.error: BaseException | None = None
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> Deferred:
        self._entered.enter_context(contextlib.redirect_stdout(_Quiet(sys.stdout, self)))
        self._entered.enter_context(contextlib.redirect_stderr(_Quiet(sys.stderr, self)))
        return self

    def __exit__(self, *raised: object) -> None:
        self._entered.close()


class _Quiet(_Wrapped):
    """A stream whose failures are noted."""

    def __init__(self, stream: TextIO, deferred: Deferred):
        super().__init__(stream)
        self._deferred = deferred

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UserError, NobodyReads) as error:
            self._deferred.error = self._deferred.error or error


def program(main: Callable[P, int]) -> Callable[P, int]:
    """The main function of a program, to which none of this happens.

    Args:
        main: returns the exit code.

    Returns:
        The same; it returns 2 after a UserError, which is printed, and 130 where it could not go
        on because nobody reads what it prints, and after Ctrl-C; 143 after SIGTERM.
    """

    @functools.wraps(main)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        out, err = _Stream(sys.stdout), _Stream(sys.stderr)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            interrupts.Listening(),
        ):
            try:
                code = main(*args, **kwargs)
            except UserError as error:
                return _last_word(f"error: {error}", 2)
            except NobodyReads:
                return _last_word("nobody reads what is printed: stopped", 130)
            except KeyboardInterrupt as error:
                return _last_word(interrupts.said(error), interrupts.code(error))
            except SystemExit:
                _flush(out)
                raise
            return _flush(out) or code

    return guarded


def _flush(out: _Stream) -> int:
    """The exit code, if what is left cannot be printed for another reason than that none reads."""
    try:
        out.flush()
    except UserError as error:
        return _last_word(f"error: {error}", 2)
    except NobodyReads:  # all is done
        pass
    return 0


def _last_word(text: str, code: int) -> int:
    with contextlib.suppress(NobodyReads, UserError):
        print(text, file=sys.stderr, flush=True)
    return code
