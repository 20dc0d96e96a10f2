"""What all tests share: how the process they run in takes an interrupt."""

from __future__ import annotations

import signal

# Where the tests run in the background, a shell has SIGINT ignored, and every program that they
# start would inherit that: Ctrl-C is tested on some.
signal.signal(signal.SIGINT, signal.default_int_handler)
