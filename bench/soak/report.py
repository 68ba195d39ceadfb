"""What a soak found, which aims it missed, and how that is printed.

Used by `bench.soak`.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec
from rich.console import Console
from rich.table import Table

from bench.soak.checks import Bytes, Kept
from bench.soak.samples import PASSING, SHARED, Sample

MOST_GROWTH = 0.05
# A kind that holds less than this may grow by a part of it: a process of a few MiB is not measured finer.
LEAST_KIB = 20_480
MOST_VISIBLE_S = 1.0


class Trend(msgspec.Struct, frozen=True):
    """How a kind of process grew.

    Units: PSS in KiB, means of the second and of the last sixth of the time, and the most in each.
    """

    processes: int
    early: float
    late: float
    growth: float
    most: tuple[float, float]
    files: int
    threads: int


class Aim(msgspec.Struct, frozen=True):
    """Something that ought to hold."""

    name: str
    found: str
    met: bool


class Report(msgspec.Struct, kw_only=True):
    """Everything that was measured.

    Units: rates are events per second; `cores` is how many processors the server kept busy, and all programs together;
    `shared_limit` is in KiB; `rows` are of tables that grew, before and after.
    """

    minutes: float
    clients: int
    capacity: float
    rate: float
    events: int
    cores: tuple[float, float]
    statuses: dict[int, int]
    ack_ms: dict[str, float]
    visible_ms: dict[str, float]
    answer_ms: dict[str, float]
    unseen: int
    unanswered: int
    memory: dict[str, Trend]
    shared_limit: int
    files: dict[str, tuple[int, int]]
    connections: dict[str, tuple[int, int]]
    most_connections: int
    series: tuple[int, int]
    rows: dict[str, tuple[int, int]]
    log_bytes: int
    kept: Kept
    bytes_per_event: Mapping[str, Bytes]
    aims: list[Aim] = []


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Sum up durations in milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    parts = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000, 1) for name, part in parts.items()
    }


def growth(values: Sequence[float]) -> tuple[float, float, float]:
    """Compare the last sixth of a series to its second: both means, and by what share it grew.

    Means, because what Postgres holds goes to and fro with a connection that comes for each round of rollups: a median
    jumps from one level to the other when the shares of both hardly change.
    """
    second, last = map(fmean, _sixths(values))
    return second, last, (last - second) / max(second, LEAST_KIB)


def _sixths(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Cut out the second sixth of a series and the last; the first is for warming up."""
    sixth = max(1, len(values) // 6)
    return values[sixth : 2 * sixth] or values, values[-sixth:]


def trends(samples: Sequence[Sample]) -> dict[str, Trend]:
    """Tell for each kind of process how its memory grew."""
    found = {}
    for kind in sorted({kind for sample in samples for kind in sample.held}):
        held = [sample.held[kind] for sample in samples if kind in sample.held]
        memory, last = [float(each.pss) for each in held], held[-1]
        early, late, share = growth(memory)
        second, sixth = map(max, _sixths(memory))
        found[kind] = Trend(last.processes, early, late, round(share, 4), (second, sixth), last.files, last.threads)
    return found


def judge(report: Report) -> list[Aim]:
    """Say which aims were met."""
    aims = [
        Aim(f"{kind}: memory flat", f"{trend.growth:+.1%}", trend.growth <= MOST_GROWTH)
        for kind, trend in report.memory.items()
        if kind not in {PASSING, SHARED}
    ]
    if SHARED in report.memory:
        late = report.memory[SHARED].late
        aims.append(
            Aim("shared memory within its limit", f"{late / report.shared_limit:.0%}", late <= report.shared_limit)
        )
    for name, pairs in (("files", report.files), ("connections", report.connections)):
        leaked = {kind: f"{before} → {after}" for kind, (before, after) in pairs.items() if after > before}
        aims.append(Aim(f"no {name} left open", str(leaked or "none"), not leaked))
    kept, statuses = report.kept, {status for status in report.statuses if status != 202}  # noqa: PLR2004
    p99 = report.visible_ms.get("p99", float("inf"))
    return [
        *aims,
        Aim("visible within a second (p99)", f"{p99} ms, {report.unseen} unseen",
            p99 <= MOST_VISIBLE_S * 1000 and not report.unseen),
        Aim("every request acknowledged", str(kept.losses[:3] or statuses or "all"), not statuses),
        Aim("every question answered", f"{report.unanswered} not", not report.unanswered),
        Aim("stored exactly once", f"{kept.missing} missing, {kept.doubled} doubled, {kept.foreign} foreign",
            not (kept.missing or kept.doubled or kept.foreign)),
        Aim("each event had its outcome", "; ".join(kept.surprises[:3]) or "all", not kept.surprises),
        Aim("usage equals what was told", "; ".join(kept.unreconciled) or "all", not kept.unreconciled),
        Aim("rollups equal a recount", "; ".join(kept.rollup_differences[:3]) or "all", not kept.rollup_differences),
    ]  # fmt: skip


def show(report: Report) -> None:
    """Print a report for people."""
    memory = Table(
        "PSS, MiB", "processes", "2nd sixth", "last sixth", "growth", "most", "files", "threads", title="Memory"
    )
    for kind, trend in report.memory.items():
        sizes = [f"{trend.early / 1024:.1f}", f"{trend.late / 1024:.1f}", f"{trend.growth:+.1%}"]
        sizes.append(" → ".join(f"{most / 1024:.1f}" for most in trend.most))
        memory.add_row(kind, str(trend.processes), *sizes, str(trend.files), str(trend.threads))
    times = Table("ms", "p50", "p95", "p99", "max", title=f"{report.rate:.0f} of {report.capacity:.0f} events/s")
    for name, parts in (("acknowledged", report.ack_ms), ("visible", report.visible_ms), ("API", report.answer_ms)):
        times.add_row(name, *(f"{value:.1f}" for value in parts.values()))
    size = Table("bytes per event", "rows", "indexes", title="Disk")
    for name, each in report.bytes_per_event.items():
        size.add_row(name, f"{each.rows:.1f}", f"{each.indexes:.1f}")
    size.add_row("all", *(f"{sum(getattr(each, part) for each in report.bytes_per_event.values()):.1f}"
                          for part in ("rows", "indexes")))  # fmt: skip
    grown = Table("rows", "before", "after", title="Tables of no client")
    for name, (before, after) in report.rows.items():
        grown.add_row(name, f"{before:,}", f"{after:,}")
    print("Processors busy: {:.2f} by the server, {:.2f} in all".format(*report.cores))
    aims = Table("aim", "found", "", title=f"{report.minutes:.0f} minutes, {report.events:,} events")
    for aim in report.aims:
        aims.add_row(aim.name, aim.found, "met" if aim.met else "MISSED")
    for table in (memory, times, size, grown, aims):
        Console().print(table)
