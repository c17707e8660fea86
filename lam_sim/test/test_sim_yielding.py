"""Other processes go before the simulator, whatever started it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ros_bench import OTHER_DOMAIN, Client, NodeProcess

AUTOGROUP = Path("/proc/self/autogroup")
SHOW = """
import os, sys
from lam_sim.yielding import yield_cores
yield_cores(int(sys.argv[1]))
print(os.getpriority(os.PRIO_PROCESS, 0))
print(open("/proc/self/autogroup").read() if os.path.exists("/proc/self/autogroup") else "")
"""


@pytest.mark.parametrize("leads_session", [True, False])
@pytest.mark.parametrize("niceness", [0, 7])
def test_a_process_is_as_nice_as_asked_and_with_it_the_session_that_it_leads(
    niceness, leads_session
):
    before = os.getpriority(os.PRIO_PROCESS, 0)
    command = [sys.executable, "-c", SHOW, str(niceness)]
    output = subprocess.check_output(command, text=True, start_new_session=leads_session)
    nice, session = output.split("\n", 1)
    assert int(nice) == min(19, before + niceness)
    if session.strip() and leads_session:
        assert session.split()[-1] == str(niceness)
    elif session.strip():
        assert session == AUTOGROUP.read_text() + "\n"


def test_sim_node_lets_others_go_first_unless_told_otherwise():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    for words, niceness in (([], 10), (["niceness:=0"], 0)):
        small = ["publish_clock:=true", "width:=32", "height:=32", *words]
        with NodeProcess("sim_node", small, OTHER_DOMAIN) as process:
            client = Client(OTHER_DOMAIN)
            client.truth()
            client.close()
            nice = os.getpriority(os.PRIO_PROCESS, process.pid)
            assert nice == min(19, before + niceness)
