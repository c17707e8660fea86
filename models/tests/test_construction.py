"""A node that cannot be made is destroyed at once, and the reason is told."""

from __future__ import annotations

import pytest

from lam_models.command import UserError
from lam_models.construction import all_or_nothing


class Base:
    """As much of a ROS node as is needed. begun: whether ROS's own constructor came through."""

    destroyed = 0

    def __init__(self, begun: bool = True) -> None:
        if not begun:
            raise RuntimeError("no context")
        self.begun = True

    def destroy_node(self) -> None:
        assert self.begun
        type(self).destroyed += 1


def test_what_is_made_lives():
    @all_or_nothing
    class Made(Base):
        """Makes no trouble."""

    assert Made().begun and Made.destroyed == 0


def test_what_fails_is_destroyed_and_says_why():
    @all_or_nothing
    class Unmade(Base):
        """Cannot be."""

        def __init__(self) -> None:
            super().__init__()
            raise UserError("rate_hz is -1")

    with pytest.raises(UserError, match="rate_hz"):
        Unmade()
    assert Unmade.destroyed == 1


def test_where_ros_itself_fails_its_reason_is_told():
    @all_or_nothing
    class Unborn(Base):
        """Not even ROS's part."""

    with pytest.raises(RuntimeError, match="no context"):
        Unborn(begun=False)
    assert Unborn.destroyed == 0
