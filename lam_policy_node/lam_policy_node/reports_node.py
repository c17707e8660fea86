"""What the node says of itself, active or not: its status five times a second, details once."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from lam_msgs.msg import PolicyStatus
from lam_policy_node import messages
from lam_policy_node.grid import Grid
from lam_policy_node.latency import STAGES
from lam_policy_node.messages import Report, Told
from lam_policy_node.opened_node import Opened
from lam_policy_node.worker import shown

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_STATUS_NS, _DETAILS_NS = 200_000_000, 1_000_000_000


class Reports:
    """Publishers of status and diagnostics."""

    def __init__(self, node: Node, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._beats, self._details = Grid(_STATUS_NS), Grid(_DETAILS_NS)
        self._status = node.create_publisher(PolicyStatus, "policy_status", _LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def wait_s(self, now_ns: int) -> float:
        """Time until the next one is due."""
        return self._beats.wait_s(now_ns)

    def tick(
        self, opened: Opened | None, active: bool, told: Told, counts: dict[str, int], now_ns: int
    ) -> None:
        """Send what is due. counts: the node's own, for the details."""
        if self._beats.due(now_ns) is None or opened is None:
            return
        run = opened.run
        report = Report(
            condition=run.condition if active else "inactive",
            reason=(run.fault or run.drive.reason) if active else "",
            policy=shown(opened.path),
            policy_hash=opened.loaded.weights_hash,
            told=told,
            ages_s=run.ages_s(now_ns),
            latency_s=run.latency.percentiles("total", now_ns),
            chunks=run.planned,
            late=run.late,
            dry_run=self._dry_run,
        )
        self._status.publish(messages.status_message(report, now_ns))
        if self._details.due(now_ns) is None:
            return
        stages_s = {stage: run.latency.percentiles(stage, now_ns) for stage in STAGES}
        counts = {f"{stream}_received": n for stream, n in run.received.items()} | counts
        counts |= {"chunks": run.planned, "late_chunks": run.late}
        self._diagnostics.publish(messages.diagnostics(report, stages_s, counts, now_ns))
