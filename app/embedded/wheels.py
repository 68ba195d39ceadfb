"""Where a wheel has put its files.

Used by `cluster` and `valkey`. The packages are not imported: only their programs are wanted, and importing one of
them changes modes of folders and warns.
"""

from importlib.util import find_spec
from pathlib import Path

from app.embedded.errors import EngineFailed


def wheel_folder(package: str, engine: str) -> Path:
    """Return the folder of an installed package.

    Errors: EngineFailed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EngineFailed(engine, f"its wheel {package} is not installed.")
    return Path(spec.origin).parent
