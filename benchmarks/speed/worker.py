"""A process of its own for each side: neither meets the other's threads, memory or environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

Subject = TypeVar("Subject")
Result = TypeVar("Result")


class Worker(Generic[Subject]):
    """Holds one object, made in a fresh process by `make(*arguments)`; a context manager that ends the process.

    Whatever is called waits for its result, so that two workers never compute at the same time. The process also ends
    when this one dies, however it dies.
    """

    def __init__(
        self, make: Callable[..., Subject], *arguments: object, environment: Mapping[str, str] | None = None
    ) -> None:
        spawn = get_context("spawn")
        self._connection, remote = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(remote, make, arguments), daemon=True)
        with _environment(environment or {}):
            self._process.start()
        remote.close()  # the worker's copy is the only one left: either end notices when the other is gone
        try:
            self._result()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Worker[Subject]:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """Call a method of the object's class on the object; return its result, or raise what it raised."""
        self._connection.send((method.__name__, arguments))
        return self._result()

    def _result(self) -> Any:
        try:
            result, failure = self._connection.recv()
        except EOFError as exc:
            raise RuntimeError("The process that was measured has died.") from exc
        if failure is not None:
            raise failure
        return result

    def _end(self) -> None:
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """Make the object, then answer calls until the other end is closed."""
    made: list[object] = []
    _answer(connection, lambda: made.append(make(*arguments)))
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        _answer(connection, getattr(made[0], method), *arguments)


def _answer(connection: Connection, function: Callable[..., object], *arguments: object) -> None:
    answer: tuple[object, Exception | None]
    try:
        answer = (function(*arguments), None)
    except Exception as exc:  # noqa: BLE001  (raised again where it was called)
        answer = (None, exc)
    connection.send(answer)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started inside."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
