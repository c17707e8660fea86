"""Settings of the whole test run."""

import os
import signal

# A shell starts background jobs with Ctrl-C ignored, and every child inherits that; the tests of
# what Ctrl-C does need it to mean what it means at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One thread each, as networks this small need: threads that wait for one another spin, and where
# others take part of the cores, tests of seconds then take many minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No shared memory between nodes: a process that is killed while it makes one of Fast DDS's ports
# leaves an empty file in /dev/shm, and whoever opens that port later, in any domain, waits for its
# content for ever (boost's managed_open_or_create spins). Tests kill.
os.environ.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
