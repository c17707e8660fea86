"""A policy, its process, its run and the topics that feed it: opened and closed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from lam_models.checkpoint import Spec
from lam_models.command import UserError
from lam_models.geometry import Pose
from lam_models.hands.grasp import grasp_pose
from lam_models.hands.space import open_space_of
from lam_models.hands.spec_file import read_hand
from lam_models.policy.opening import hand_space
from lam_policy_node.inputs_node import Inputs, Take
from lam_policy_node.params import PolicySettings
from lam_policy_node.run import Run
from lam_policy_node.worker import Loaded, PolicyProcess, shown


@dataclass(frozen=True)
class Opened:
    """path: of the policy's folder."""

    path: str
    worker: PolicyProcess
    loaded: Loaded
    run: Run
    inputs: Inputs

    def close(self) -> None:
        """End all of it."""
        self.inputs.close()
        self.worker.close()


def open_policy(
    node: Node, settings: PolicySettings, path: str, take: Take, give_up: Callable[[], object]
) -> Opened:
    """Load and warm the policy, which takes its time. UserError where it cannot be."""
    if not path:
        raise UserError("the parameter 'policy' is empty: name the folder of a policy")

    def wake() -> None:
        """An answer ends the wait for messages: the next question need not wait for a beat."""
        if node.executor is not None:
            node.executor.create_task(lambda: None)

    worker = PolicyProcess(path, settings.device, wake=wake)
    try:
        loaded = worker.load(settings.load_timeout_s, give_up)
        run = Run(worker, loaded, settings.conduct(_grasp(settings, loaded.spec)))
        inputs = Inputs(node, settings, loaded.spec, run.rules, take)
    except UserError:
        worker.close()
        raise
    cameras = ", ".join(camera.name for camera in loaded.spec.cameras) or "no cameras"
    node.get_logger().info(
        f"policy '{shown(path)}' is loaded, process {worker.pid}: "
        f"{1e3 * loaded.model_s:.1f} ms an answer, sees {cameras}"
    )
    return Opened(path, worker, loaded, run, inputs)


def _grasp(settings: PolicySettings, spec: Spec) -> Pose | None:
    """T_ee_grasp of the hand that is bolted on."""
    if not settings.hand:
        return None
    coder = open_space_of(hand_space(spec), settings.space).coder_for(read_hand(settings.hand))
    return grasp_pose(coder.modality)


def policy_change(
    exchange: Callable[[str], str], parameters: list[Parameter]
) -> SetParametersResult:
    """The answer where the parameter `policy` is set: `exchange` gives "" or why not."""
    answers = [exchange(str(one.value)) for one in parameters if one.name == "policy"]
    reason = next(filter(None, answers), "")
    return SetParametersResult(successful=not reason, reason=reason)
