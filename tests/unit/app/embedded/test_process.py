"""When a process that is not our child counts as ended."""

import subprocess
import sys

from app.embedded.process import EngineProcess

# The first thread ends by itself, as when a server of many threads dies; the other waits for its input to end.
FIRST_THREAD_ENDS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_lives_until_its_last_thread_has_ended() -> None:
    command = [sys.executable, "-c", FIRST_THREAD_ENDS]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        stranger = EngineProcess(child.pid)
        assert not stranger.wait(0.5)
        assert child.stdin is not None
        child.stdin.close()
        assert stranger.wait(10)
        assert child.wait(10) is not None


def test_one_that_nobody_has_reaped_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        assert EngineProcess(child.pid).wait(10)
