"""Children that end with their parent."""

import subprocess
import sys
from pathlib import Path


def test_a_command_is_not_started_for_a_parent_that_has_gone(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    stranger = "1"
    subprocess.run([sys.executable, "-m", "app.tether", stranger, "/usr/bin/touch", str(touched)], check=True)
    assert not touched.exists()
