"""Messages in and out, and the parts that are there only on some machines."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import yaml
from geometry_msgs.msg import Transform
from sensor_msgs.msg import CompressedImage, Image

from lam_models.checkpoint import CameraSpec
from lam_models.command import UserError
from lam_models.settings import from_mapping
from lam_policy_node import messages, servo_node
from lam_policy_node.inputs_node import Transforms
from lam_policy_node.observing import Picture, pixels_of
from lam_policy_node.params import PolicySettings

CAMERA = CameraSpec("front", 24, 32)
ROBOTS = sorted((Path(__file__).resolve().parents[2] / "launch" / "robots").glob("*.yaml"))
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def image(encoding: str, pixels: np.ndarray) -> Image:
    step = pixels.strides[0]
    height, width = pixels.shape[:2]
    message = Image(encoding=encoding, height=height, width=width, step=step)
    message.data = pixels.tobytes()
    return message


@pytest.mark.parametrize("path", ROBOTS, ids=lambda path: path.stem)
def test_every_robot_has_parameters_that_the_node_knows(path):
    values = yaml.safe_load(path.read_text())["policy_node"]["ros__parameters"]
    settings = from_mapping(PolicySettings, values)
    assert settings.conduct(None).period_ns == settings.period_ns
    assert settings.limits().max_speed_m_s == settings.max_speed_m_s


def to_rgb(message: Image, desired_encoding: str) -> np.ndarray:
    """What cv_bridge answers for the encodings used here."""
    assert desired_encoding == "rgb8"
    pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)
    return {"bgr8": pixels[..., ::-1], "rgb8": pixels}.get(message.encoding, PIXELS)


def test_with_and_without_cv_bridge_the_pixels_are_the_same(monkeypatch):
    cv_bridge = sys.modules.get("cv_bridge") or types.ModuleType("cv_bridge")
    if not hasattr(cv_bridge, "CvBridge"):
        bridge = type("CvBridge", (), {"imgmsg_to_cv2": staticmethod(to_rgb)})
        monkeypatch.setattr(cv_bridge, "CvBridge", bridge, raising=False)
        monkeypatch.setitem(sys.modules, "cv_bridge", cv_bridge)
    convert = messages.cv_bridge_convert()
    assert convert is not None
    for encoding, pixels in (("rgb8", PIXELS), ("bgr8", PIXELS[..., ::-1].copy())):
        message = image(encoding, pixels)
        rgb = np.ascontiguousarray(convert(message))
        bridged = pixels_of(Picture(rgb.tobytes(), "rgb8", 48, 64, 192), CAMERA)
        direct = pixels_of(messages.picture_of(message), CAMERA)
        np.testing.assert_array_equal(direct, bridged)
    bayer = image("bayer_rggb8", PIXELS[..., 0].copy())
    np.testing.assert_array_equal(
        pixels_of(messages.picture_of(bayer, convert), CAMERA),
        pixels_of(messages.picture_of(image("rgb8", PIXELS)), CAMERA),
    )


def test_without_cv_bridge_there_is_no_converter(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    assert messages.cv_bridge_convert() is None


def test_a_picture_is_not_copied_when_it_arrives():
    message = CompressedImage(format="jpeg", data=b"123")
    assert messages.picture_of(message).data is message.data
    raw = image("rgb8", PIXELS)
    assert messages.picture_of(raw).data is raw.data


class Servo:
    """A node beside a Servo that is there, or not."""

    def __init__(self, ready: bool) -> None:
        self.ready, self.requests, self.said = ready, [], []

    def get_logger(self):
        return types.SimpleNamespace(warning=self.said.append, error=self.said.append)

    def create_client(self, kind, service):
        return self

    def destroy_client(self, client) -> None:
        assert client is self

    def service_is_ready(self) -> bool:
        return self.ready

    def call_async(self, request):
        self.requests.append(request)
        return self

    def add_done_callback(self, callback) -> None:
        result = types.SimpleNamespace(success=False)
        callback(types.SimpleNamespace(result=lambda: result))


def test_servo_is_told_to_take_twists_where_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "moveit_msgs.srv", None)
    node = Servo(ready=True)
    servo_node.command_twists(node, "/servo/switch")  # type: ignore[arg-type]
    assert "not installed" in node.said[0]
    request = types.SimpleNamespace(Request=lambda command_type: command_type)
    installed = types.SimpleNamespace(ServoCommandType=request)
    monkeypatch.setitem(sys.modules, "moveit_msgs", types.ModuleType("moveit_msgs"))
    monkeypatch.setitem(sys.modules, "moveit_msgs.srv", installed)
    absent = Servo(ready=False)
    servo_node.command_twists(absent, "/servo/switch")  # type: ignore[arg-type]
    assert "is not there" in absent.said[0] and not absent.requests
    refusing = Servo(ready=True)
    servo_node.command_twists(refusing, "/servo/switch")  # type: ignore[arg-type]
    assert refusing.requests == [servo_node.TWIST] and "refused" in refusing.said[0]


class Buffer:
    """tf2's buffer with one transform, or none."""

    found: types.SimpleNamespace | None = None

    def lookup_transform(self, target: str, source: str, at: object):
        assert (target, source) == ("base_link", "ee_link")
        if self.found is None:
            raise LookupError("no such frame")
        return self.found


def test_the_pose_comes_from_tf2_where_that_is(monkeypatch):
    node = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(UserError, match="name a topic"):
        Transforms(node, "base_link", "ee_link")  # type: ignore[arg-type]
    listener = types.SimpleNamespace(unregister=lambda: None)
    tf2 = types.SimpleNamespace(
        Buffer=Buffer, TransformListener=lambda *_: listener, TransformException=LookupError
    )
    monkeypatch.setitem(sys.modules, "tf2_ros", tf2)
    transforms = Transforms(node, "base_link", "ee_link")  # type: ignore[arg-type]
    assert transforms.newest() is None
    transform = Transform()
    transform.translation.x = 0.4
    found = types.SimpleNamespace(header=messages.header(7), transform=transform)
    monkeypatch.setattr(Buffer, "found", found)
    newest = transforms.newest()
    assert newest is not None and newest[0] == 7
    np.testing.assert_allclose(newest[1][:3, 3], [0.4, 0.0, 0.0])
    assert transforms.newest() is None, "a transform is taken once"
    transforms.close()


def test_a_twist_and_a_delta_hold_the_same_numbers():
    motion = np.arange(6.0)
    twist = messages.twist_message(motion, "base_link", 5)
    delta = messages.delta_message(motion, "base_link", 5, 50_000_000, 9)
    assert twist.twist.linear == delta.translation and twist.twist.angular == delta.rotation
    assert (delta.sequence, messages.time_ns(delta.duration)) == (9, 50_000_000)
    assert twist.header == delta.header
