# SPDX-License-Identifier: MIT
"""Runs the steps of a study, several at a time, each as a process of its own.

A process that crashes, runs out of memory or takes too long costs its own step and those that read
what it should have written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from fuseflow.cli.sweep.results import is_final
from fuseflow.cli.sweep.steps import Step

__all__ = ["Outcome", "Workers"]

_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step: `error` is "" where it wrote its artifact; `reused` if it was there.

    A simulation whose check failed, or that could not finish, writes a report all the same. The
    error is `inherited` if it is that of a step before, so that this one did not run.
    """

    step: Step
    error: str = ""
    reused: bool = False
    inherited: bool = False


@dataclass(slots=True)
class Workers:
    """Runs steps in `jobs` processes at a time; one that takes over `timeout` seconds is ended.

    Each simulation may use `threads` threads.
    """

    jobs: int
    threads: int
    timeout: float | None = None
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(
        self,
        steps: Iterable[Step],
        tell: Callable[[Outcome], None],
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run all steps, those that read something after those that write it.

        `tell` is called in this thread with every outcome, as soon as it is known; `is_stopped`
        now and then. Whatever ends this early ends the processes too.
        """
        waiting: dict[Step | None, list[Step]] = defaultdict(list)
        for step in dict.fromkeys(steps):
            waiting[step.before].append(step)
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                futures = {pool.submit(self._outcome, step) for step in waiting[None]}
                while futures and not is_stopped():
                    done, futures = wait(futures, _LOOK_SECONDS, FIRST_COMPLETED)
                    for outcome in map(Future.result, done):
                        tell(outcome)
                        after = waiting[outcome.step]
                        if outcome.error:
                            _skip(after, waiting, outcome.error, tell)
                        else:
                            futures |= {pool.submit(self._outcome, step) for step in after}
            finally:
                self._stop()
                pool.shutdown(cancel_futures=True)

    def _outcome(self, step: Step) -> Outcome:
        if step.path.exists() and is_final(step.path, step.stage):
            return Outcome(step, reused=True)
        step.path.parent.mkdir(parents=True, exist_ok=True)
        step.path.unlink(missing_ok=True)
        extra = ["--threads", str(self.threads)] if step.stage == "sim" else []
        error = self._process(step, [*step.arguments(), *extra])
        return Outcome(step, "" if step.path.exists() else error)

    def _process(self, step: Step, arguments: Sequence[str]) -> str:
        """Run a command, keep what it says beside its artifact, and return its error, if any."""
        log = step.path.with_suffix(".log")
        command = [sys.executable, "-m", "fuseflow", f"ff-{step.stage}", *arguments]
        environment = {**os.environ, "NO_COLOR": "1"}
        with log.open("wb") as said:
            with self._lock:
                if self._stopped:
                    return "stopped"
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment
                )
                self._running.add(process)
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                _end([process])
                step.path.unlink(missing_ok=True)
                return f"took more than {self.timeout:g} s"
            finally:
                with self._lock:
                    self._running.discard(process)
        return _error(log.read_text(errors="replace"), code) if code else ""

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            running = list(self._running)
        _end(running)


def _skip(
    steps: Sequence[Step],
    waiting: dict[Step | None, list[Step]],
    error: str,
    tell: Callable[[Outcome], None],
) -> None:
    """Tell of all steps that cannot run because one before them failed."""
    for step in steps:
        tell(Outcome(step, error, inherited=True))
        _skip(waiting[step], waiting, error, tell)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and end them if they do not."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _error(said: str, code: int) -> str:
    """Return the first error that a command reported, or how it ended."""
    for line in said.splitlines():
        _, found, message = line.partition("error: ")
        if found:
            return message
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
