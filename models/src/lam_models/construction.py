"""What becomes of a node that cannot be made.

Nothing of ROS is imported: the node is whatever has destroy_node().
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any, TypeVar

K = TypeVar("K", bound=type)


def all_or_nothing(kind: K) -> K:
    """Class decorator for nodes: one whose constructor raises is destroyed at once.

    Otherwise it lives on in the graph, with its threads, for as long as the exception does, and
    ends whenever memory is tidied up: after its context, in the midst of something else.
    """
    construct = kind.__init__

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        try:
            construct(self, *args, **options)
        except BaseException:
            # Where rclpy's own constructor fails there is not yet all that it would destroy.
            with contextlib.suppress(AttributeError):
                self.destroy_node()
            raise

    kind.__init__ = __init__
    return kind
