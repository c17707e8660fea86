"""Settings of the whole test run."""

import signal

# A shell starts background jobs with Ctrl-C ignored, and every child inherits that; the tests of
# what Ctrl-C does need it to mean what it means at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)
