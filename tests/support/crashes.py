"""Make the process die, or a step fail, at chosen moments of an operation, and run it to its end all the same.

Used by the tests of faults.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from provisioning import plans
from provisioning.operations import OperationView
from provisioning.work import Step, Work
from tests.support.provisioner import Provisioner

Act = Callable[[Work], Coroutine[Any, Any, Any]]


class Crash(BaseException):
    """The process dies: nothing catches it, nothing is cleaned up."""


class Broken(Exception):
    """Something that no retry will mend."""


def raising(error: type[BaseException], act: Act, *moments: str) -> Act:
    """Make an act that fails once `before` and once `after` what it does, as asked, and then works."""
    left = list(moments)

    async def broken(work: Work) -> Any:
        if "before" in left:
            left.remove("before")
            raise error
        try:
            return await act(work)
        finally:
            if "after" in left:
                left.remove("after")
                raise error

    return broken


def with_ensure(error: type[BaseException], *moments: str) -> Callable[[Step], Step]:
    """Let a step fail in what it does."""
    return lambda step: msgspec.structs.replace(step, ensure=raising(error, step.ensure, *moments))


def with_undo(error: type[BaseException], *moments: str) -> Callable[[Step], Step]:
    """Let a step fail in taking it back."""
    return lambda step: msgspec.structs.replace(step, undo=raising(error, step.undo, *moments))


def replaced(monkeypatch: pytest.MonkeyPatch, kind: str, name: str, change: Callable[[Step], Step]) -> None:
    """Put another step in place of one of a plan's, for the runner."""
    plan = plans.PLANS[kind]
    steps = tuple(change(step) if step.name == name else step for step in plan.steps)
    monkeypatch.setitem(plans.PLANS, kind, msgspec.structs.replace(plan, steps=steps))


async def run_to_the_end(grove: Provisioner, operation_id: Any) -> tuple[OperationView, int]:
    """Run, and run again after each crash, as a worker that finds a lost lease; count the crashes."""
    crashes = 0
    while True:
        try:
            view = await grove.runner().run(operation_id)
        except Crash:
            crashes += 1
        else:
            return view, crashes
        await grove.make_due(operation_id)
