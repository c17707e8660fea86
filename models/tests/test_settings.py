"""Settings: declared with types, ranges and descriptions; bad values refused by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from lam_models.command import UserError
from lam_models.settings import declare, from_mapping, setting


@dataclass(frozen=True)
class Example:
    rate_hz: float = setting(20.0, "control rate", low=1.0, high=200.0, unit="Hz")
    steps: int = setting(8, "steps a chunk", low=1)
    blend: str = setting("latest", "how chunks are joined", choices=("latest", "ensemble"))
    enabled: bool = setting(False, "publish at once", read_only=False)
    cameras: tuple[str, ...] = setting(("front",), "cameras used")
    gains: tuple[float, ...] = setting((), "gain a joint", low=0.0)


MESSAGES = SimpleNamespace(
    ParameterDescriptor=SimpleNamespace, FloatingPointRange=dict, IntegerRange=dict
)


class FakeNode:
    def __init__(self, **overrides: object) -> None:
        self._parameter_overrides = {k: SimpleNamespace(value=v) for k, v in overrides.items()}
        self.declared: dict[str, tuple[object, SimpleNamespace]] = {}

    def declare_parameter(
        self, name: str, value: object, descriptor: SimpleNamespace, ignore_override: bool
    ) -> None:
        assert ignore_override
        self.declared[name] = (value, descriptor)


def test_defaults_are_declared_with_range_unit_and_description():
    node = FakeNode()
    assert declare(node, Example, MESSAGES) == Example()
    value, descriptor = node.declared["rate_hz"]
    assert value == 20.0
    assert descriptor.description == "control rate [Hz]"
    assert descriptor.floating_point_range == [{"from_value": 1.0, "to_value": 200.0}]
    assert descriptor.read_only
    assert not node.declared["enabled"][1].read_only
    assert node.declared["steps"][1].integer_range[0]["from_value"] == 1
    assert "latest, ensemble" in node.declared["blend"][1].description


def test_overrides_are_taken_and_whole_numbers_count_as_floats():
    node = FakeNode(rate_hz=10, cameras=["front", "wrist"], gains=[1, 0.5], use_sim_time=True)
    settings = declare(node, Example, MESSAGES)
    assert settings.rate_hz == 10.0 and isinstance(settings.rate_hz, float)
    assert settings.cameras == ("front", "wrist")
    assert settings.gains == (1.0, 0.5)
    assert node.declared["cameras"][0] == ["front", "wrist"]


def test_ros_gives_an_empty_list_as_nothing():
    assert declare(FakeNode(cameras=None), Example, MESSAGES).cameras == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate_hz": 500.0}, r"'rate_hz' is 500, must be from 1 to 200 Hz"),
        ({"rate_hz": math.nan}, r"'rate_hz' must be a finite number"),
        ({"rate_hz": "fast"}, r"'rate_hz' must be of type float, not 'fast'"),
        ({"steps": 0}, r"'steps' is 0, must be at least 1"),
        ({"steps": True}, r"'steps' must be of type int, not True"),
        ({"enabled": 1}, r"'enabled' must be of type bool"),
        ({"blend": "ensembel"}, r"Did you mean 'ensemble'\?"),
        ({"cameras": "front"}, r"'cameras' must be a list, not 'front'"),
        ({"gains": [-1.0]}, r"'gains' is -1, must be at least 0"),
        ({"rate_hs": 5.0}, r"unknown parameter 'rate_hs'\. Did you mean 'rate_hz'\?"),
    ],
)
def test_bad_values_are_refused_by_name(values: dict[str, object], message: str):
    with pytest.raises(UserError, match=message):
        from_mapping(Example, values)
    with pytest.raises(UserError, match=message):
        declare(FakeNode(**values), Example, MESSAGES)


def test_quality_of_service_overrides_are_not_ours():
    node = FakeNode(**{"qos_overrides./camera.depth": 3})
    assert declare(node, Example, MESSAGES) == Example()


def test_a_real_node_accepts_the_declaration():
    rclpy = pytest.importorskip("rclpy")
    from rcl_interfaces import msg
    from rclpy.parameter import Parameter

    context = rclpy.Context()
    rclpy.init(context=context)
    overrides = [Parameter("rate_hz", value=10), Parameter("gains", value=[1.0])]
    node = rclpy.create_node("settings_test", context=context, parameter_overrides=overrides)
    try:
        assert declare(node, Example, msg) == Example(rate_hz=10.0, gains=(1.0,))
        assert node.get_parameter("rate_hz").value == 10.0
        assert not node.set_parameters([Parameter("rate_hz", value=20.0)])[0].successful
        assert node.set_parameters([Parameter("enabled", value=True)])[0].successful
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
