"""What can go wrong with an embedded engine; each message is written for the operator."""


class EngineError(Exception):
    """An embedded engine cannot do what was asked; the message says which, where and what to do."""


class EngineFailed(EngineError):
    """An engine did not start, or cannot be used as it is."""

    def __init__(self, engine: str, detail: str) -> None:
        super().__init__(f"The embedded {engine} cannot be used: {detail}")
        self.engine = engine
        self.detail = detail


class EngineMissing(EngineError):
    """This machine has no such engine, or Grove cannot find it; one can do without."""

    def __init__(self, engine: str, reason: str) -> None:
        super().__init__(f"There is no {engine} to start: {reason}")
        self.reason = reason


class EnginesInUse(EngineError):
    """Another Grove process looks after the engines of this data folder."""

    def __init__(self, folder: str, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"Grove already runs on the data folder {folder} ({holder}); stop it or set GROVE_DATA_DIR.")
        self.pid = pid
