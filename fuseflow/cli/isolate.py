# SPDX-License-Identifier: MIT
"""Runs a piece of work in a child process, so that a framework may abort without the command.

The child is forked before anything heavy is loaded, which costs a few milliseconds, and hands back
its result through an unnamed file. A process in which PyTorch is loaded has threads and cannot be
forked safely: there, and where there is no fork, the work is done in place.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, NoReturn, TypeVar

from fuseflow.errors import Location, ModelError

__all__ = ["Stage", "run_isolated"]

Result = TypeVar("Result")
Stage = Callable[[str], None]
"""Says what is being done from now on, for the error if it ends the process."""

_INTERRUPTED = 130


def run_isolated(
    work: Callable[[Stage], Result], where: str, preload: Sequence[str] = ()
) -> Result:
    """Return what `work` returns, and raise what it raises.

    Args:
        work: called with a function that takes the name of each stage of the work.
        where: what is worked on, for the error.
        preload: modules to import here while the child works.

    Raises:
        ModelError: I024 if the child ended without a result, with its signal and its last stage.
    """
    if "torch" in sys.modules or not hasattr(os, "fork"):
        return work(lambda _: None)
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as channel:
        child = os.fork()
        if child == 0:
            _serve(work, channel)
        try:
            with _ended_by_exception():
                for name in preload:
                    importlib.import_module(name)
                _, status = os.waitpid(child, 0)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        answers = list(_read(channel))
    stages = [answer for answer in answers if isinstance(answer, str)]
    if len(stages) == len(answers):
        raise _crashed(os.waitstatus_to_exitcode(status), stages, where)
    result, error = answers[-1]
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


@contextmanager
def _ended_by_exception() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, so that whoever ends the command ends the child as well."""

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(work: Callable[[Stage], Any], channel: IO[bytes]) -> NoReturn:
    """Do the work in the child: send stages, then (result, None) or (None, exception)."""

    def send(answer: object) -> None:
        pickle.dump(answer, channel, protocol=pickle.HIGHEST_PROTOCOL)
        channel.flush()

    code = 1
    try:
        # Compiled code that prints must not write into the artifact either.
        os.dup2(2, 1)
        answer: tuple[Any, BaseException | None]
        try:
            answer = (work(send), None)
        except KeyboardInterrupt:
            os._exit(_INTERRUPTED)
        except BaseException as error:
            answer = (None, _portable(error))
        send(answer)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # Leave at once: the parent's buffers and exit handlers are not the child's to run.
        os._exit(code)


def _portable(error: BaseException) -> BaseException:
    """Return an exception that survives the way to the parent, with its traceback as a note."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(text)
    return error


def _read(channel: IO[bytes]) -> Iterator[Any]:
    channel.seek(0)
    while True:
        try:
            yield pickle.load(channel)
        # The child may have died in the middle of an answer.
        except (EOFError, pickle.UnpicklingError):
            return


def _crashed(code: int, stages: Sequence[str], where: str) -> ModelError:
    stage = stages[-1] if stages else "starting"
    if code < 0:
        how = f"by signal {-code} ({signal.Signals(-code).name})"
    else:
        how = f"by itself, with exit code {code}"
    fix = None
    if code == -signal.SIGKILL:
        fix = "was memory exhausted? choose a smaller model"
    return ModelError(
        "I024 crashed",
        f"the process was ended {how} while {stage}",
        where=Location(file=where),
        fix=fix,
    )
