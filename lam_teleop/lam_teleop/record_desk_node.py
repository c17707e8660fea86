"""The recorder's services: a wish and its outcome in words, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from std_srvs.srv import Trigger

from lam_models.command import UserError
from lam_msgs.srv import StartEpisode, StopEpisode
from lam_teleop import record_messages as messages
from lam_teleop.bags.recorder import Closed, Recorder
from lam_teleop.command_messages import duration_message
from lam_teleop.listening_node import Listening


@dataclass(frozen=True)
class Desk:
    """Who carries the wishes out. begin: instruction, operator, note; end: outcome, note."""

    now_ns: Callable[[], int]
    begin: Callable[[str, str, str], str]
    end: Callable[[str, str], Closed]
    recorder: Recorder
    listening: Listening

    def on_start(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        try:
            response.episode_id = self.begin(
                request.instruction, request.operator_name, request.note
            )
            response.success, response.message = True, "recording"
            if absent := self.listening.absent:
                response.message = f"recording without {', '.join(absent)}: not published"
        except UserError as error:
            response.success, response.message = False, str(error)
        return response

    def on_stop(
        self, request: StopEpisode.Request, response: StopEpisode.Response
    ) -> StopEpisode.Response:
        try:
            closed = self.end(messages.OUTCOMES.get(request.outcome, ""), request.note)
            response.success, response.episode_id = True, closed.episode_id
            response.elapsed = duration_message(max(0, closed.elapsed_ns))
            response.message = str(closed.folder or "thrown away")
        except UserError as error:
            response.success, response.message = False, str(error)
        return response

    def on_annotate(
        self, request: StopEpisode.Request, response: StopEpisode.Response
    ) -> StopEpisode.Response:
        """outcome and note are kept, the episode goes on."""
        outcome = messages.OUTCOMES.get(request.outcome, "unknown")
        try:
            now_ns = self.now_ns()
            self.recorder.annotate(now_ns, request.note, outcome)
            episode = self.recorder.episode
            assert episode is not None
            response.success, response.episode_id = True, episode.episode_id
            response.elapsed = duration_message(max(0, now_ns - episode.started_ns))
        except UserError as error:
            response.success, response.message = False, str(error)
        return response

    def on_discard(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = f"{self.end('discarded', '').episode_id} thrown away"
            response.success = True
        except UserError as error:
            response.success, response.message = False, str(error)
        return response


def offer_services(node: Node, desk: Desk) -> None:
    """~/start, ~/stop, ~/discard; ~/annotate takes what ~/stop takes, and the episode goes on."""
    node.create_service(StartEpisode, "~/start", desk.on_start)
    node.create_service(StopEpisode, "~/stop", desk.on_stop)
    node.create_service(StopEpisode, "~/annotate", desk.on_annotate)
    node.create_service(Trigger, "~/discard", desk.on_discard)
