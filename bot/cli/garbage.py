"""Python's garbage collector, kept from stopping the loop."""

import gc

_YOUNG, _MIDDLE, _OLD = 1_000, 10, 100
"""New objects between two looks at the young ones, and how many looks at one generation come before the next one's.

Looks at few objects are short; a look at all of them, the last one, comes after a million new ones.
"""


def freeze_startup_objects() -> None:
    """Call once everything is started: what is there now is never looked through again.

    A full collection looks at every object: 140,000 of modules alone, which stood the loop still for over 0.1 s every
    few seconds under load. What dies by its reference count, which is nearly everything, goes at once as before.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
