"""Asks a server for plans from a thread of its own; the control loop exchanges values with it and never waits.

A new instruction takes the place of the one before, which is cancelled on the server (barge-in). What was lost with a
server is asked again. Every instruction gets exactly one fate.
"""

from __future__ import annotations

import asyncio
import json
import math
import queue
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from bonsai_edge import AsyncClient
from bonsai_edge.errors import BonsaiError, BusyError, RemoteError, ServerUnreachableError

_SILENCE_S = 2.0  # after which a server counts as gone
_BEAT_PERIOD_S = 0.1
_STUCK_S = 5.0  # without a forward step while a generation runs
_RETRY_S = 0.2
_MAX_TOKENS = 192
_MOST = 1_000.0

AMOUNTS = {"distance_m", "distance_cm", "distance_ft", "duration_s", "angle_deg"}
"""Fields of actions that this robot computes with; docs/robot-commands.md has all."""


@dataclass(frozen=True)
class Fate:
    """What became of an instruction."""

    instruction: str
    ending: Literal["planned", "cancelled", "refused"]
    attempts: int = 0
    """How often it was asked; not counted for what was cancelled."""
    actions: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


class Planner:
    """Everything but `close` returns at once, whatever the server does."""

    def __init__(self, endpoint: str) -> None:
        self.heard_at = -math.inf
        """When the server last said that it works, on the monotonic clock."""
        self._endpoint = endpoint
        self._fates: queue.SimpleQueue[Fate] = queue.SimpleQueue()
        self._asked: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="planner")
        self._thread.start()

    def ask(self, instruction: str) -> None:
        """Have a plan made; one that is being made is cancelled."""
        self._loop.call_soon_threadsafe(self._asked.put_nowait, instruction)

    def fates(self) -> list[Fate]:
        """Return what has become of instructions since the last call."""
        news = []
        while not self._fates.empty():
            news.append(self._fates.get_nowait())
        return news

    def close(self) -> None:
        """Cancel what is under way and end the thread; its fate can still be fetched."""
        self._loop.call_soon_threadsafe(self._asked.put_nowait, None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        async with AsyncClient(self._endpoint, timeout_s=_SILENCE_S) as client:
            beating = asyncio.create_task(self._beat(client))
            planning: asyncio.Task[Fate] | None = None
            while True:
                instruction = await self._asked.get()
                if planning is not None:
                    planning.cancel()
                    await asyncio.wait([planning])
                if instruction is None:
                    beating.cancel()
                    await asyncio.wait([beating])
                    return
                planning = asyncio.create_task(_plan(client, instruction))
                planning.add_done_callback(partial(self._note, instruction))

    async def _beat(self, client: AsyncClient) -> None:
        while True:
            try:
                status = await client.status()
            except BonsaiError:
                pass  # nothing was heard, and that is what the control loop looks at
            else:
                # A network thread that answers does not prove that the engine works.
                is_stuck = status.active and (status.seconds_since_step or 0.0) > _STUCK_S
                if not is_stuck:
                    self.heard_at = time.monotonic()
            await asyncio.sleep(_BEAT_PERIOD_S)

    def _note(self, instruction: str, planning: asyncio.Task[Fate]) -> None:
        self._fates.put(Fate(instruction, "cancelled") if planning.cancelled() else planning.result())


async def _plan(client: AsyncClient, instruction: str) -> Fate:
    attempts = 0
    while True:
        attempts += 1
        try:
            return Fate(instruction, "planned", attempts, await _actions(client, instruction))
        except (BonsaiError, ValueError) as exc:
            if not _is_worth_repeating(exc):
                return Fate(instruction, "refused", attempts, reason=str(exc))
        await asyncio.sleep(_RETRY_S)


async def _actions(client: AsyncClient, instruction: str) -> list[dict[str, Any]]:
    """Return the actions of a plan. Raises BonsaiError, and ValueError for an answer that is none."""
    messages = [{"role": "user", "content": instruction}]
    result = await client.chat_text(messages, temperature=0, max_tokens=_MAX_TOKENS)
    return checked_actions(result.text)


def checked_actions(answer: str) -> list[dict[str, Any]]:
    """Return the actions of an answer. Raises ValueError: a model may say anything, a robot must not fall over it."""
    plan = json.loads(answer)
    actions = plan.get("actions") if isinstance(plan, dict) else None
    if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
        raise ValueError(f"The model answered {answer!r}, which is no plan.")
    for action in actions:
        for name in AMOUNTS & action.keys():
            amount = action[name]
            if not isinstance(amount, int | float) or not 0 <= amount <= _MOST:
                raise ValueError(f"The plan has {name} {amount!r}; expected a number from 0 to {_MOST:g}.")
    return actions


def _is_worth_repeating(error: Exception) -> bool:
    """Return whether the same request may succeed later."""
    is_stopping = isinstance(error, RemoteError) and error.remote_code == "server_stopping"
    return is_stopping or isinstance(error, ServerUnreachableError | BusyError)
