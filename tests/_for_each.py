"""One check of many things is one test, whose message has all that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def for_each(things: Mapping[str, Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Make a test of a check: every thing is looked at, and every failure told by name."""

    def decorate(check: Callable[[Any], None]) -> Callable[[], None]:
        def test() -> None:
            wrong = []
            for name, thing in things.items():
                try:
                    check(thing)
                except Exception as error:
                    wrong.append(f"{name}: {type(error).__name__}: {error}")
            if wrong:
                raise AssertionError(f"{len(wrong)} of {len(things)}\n" + "\n".join(wrong))

        # Not functools.wraps: pytest would take the parameter of the check for a fixture.
        test.__name__, test.__doc__, test.__module__ = (
            check.__name__,
            check.__doc__,
            check.__module__,
        )
        return test

    return decorate
