"""The worker's log lines, Prometheus metrics and CloudWatch metrics.

On ECS, the worker writes CloudWatch metrics to stdout once a minute, in embedded metric format. The log driver ships
them, so the worker needs no permission
(docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

import asyncio
import json
import logging
import sys
import time
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

NAMESPACE: Final = "Receipts"
DIMENSION: Final = "Service"
DEPENDENCY_DIMENSION: Final = "Dependency"

COUNTERS: Final = (
    "Extracted",
    "NeedsReview",
    "Rejected",
    "Failed",
    "Ignored",
    "Duplicates",
    "DeadLettered",
    "Retried",
    "Released",
    "Unsettled",
    "Receives",
    "Invocations",
    "Throttles",
    "Faults",
)
"""Counters, by the name of their CloudWatch metric."""
GAUGES: Final = ("InFlight", "InvocationLimit", "Invoking", "SecondsSinceReceive")
"""Levels, by the name of their CloudWatch metric. Each is emitted every minute, even if it is zero."""
BREAKER_OPEN: Final = "BreakerOpen"
"""1 while a breaker is open, else 0: one metric per dependency, and one without that dimension for all of them."""
MESSAGE_AGE: Final = "MessageAgeSeconds"
STAGE: Final = "StageMilliseconds"
STAGES: Final = ("fetch", "prepare", "invoke", "store", "total")
EMF_VALUES: Final = 100
"""Most values of one metric in one line (same document)."""


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)[1:]


class Telemetry:
    """The metrics of one process."""

    def __init__(self, *, service: str = "worker", clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch."""
        self.registry = CollectorRegistry()
        self._service = service
        self._clock = clock
        self._counters = {
            name: Counter(f"receipts_{_snake(name)}", f"{name} since the process started.", registry=self.registry)
            for name in COUNTERS
        }
        self._gauges = {
            name: Gauge(f"receipts_{_snake(name)}", f"Current {name}.", registry=self.registry) for name in GAUGES
        }
        self._breakers = Gauge(
            "receipts_breaker_open", "1 while the breaker is open.", ["dependency"], registry=self.registry
        )
        self._age = Histogram(
            "receipts_message_age_seconds",
            "Age of a message when its work is done.",
            buckets=(1, 2, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400),
            registry=self.registry,
        )
        self._stages = Histogram(
            "receipts_stage_seconds",
            "Time spent in one stage.",
            ["stage"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )
        self._stage_of = {name: self._stages.labels(name) for name in STAGES}
        self._levels: dict[str, Callable[[], float]] = {}
        self._open: dict[str, int] = {}
        self._since_emitted: Counts[str] = Counts()
        self._samples: dict[str, deque[float]] = {}

    def count(self, name: str, amount: int = 1) -> None:
        """Add to one of `COUNTERS`."""
        self._counters[name].inc(amount)
        self._since_emitted[name] += amount

    def level(self, name: str, read: Callable[[], float]) -> None:
        """Set the function that reads one of `GAUGES`."""
        self._levels[name] = read
        self._gauges[name].set_function(read)

    def breaker(self, dependency: str, *, is_open: bool) -> None:
        """Record whether the breaker of `dependency` is open."""
        self._breakers.labels(dependency).set(int(is_open))
        self._open[dependency] = int(is_open)

    def age(self, seconds: float) -> None:
        """Record a message's age in seconds, from its sending to its outcome."""
        self._age.observe(seconds)
        self._sample(MESSAGE_AGE, seconds)

    def stage(self, name: str, milliseconds: float) -> None:
        """Record the time spent in one of `STAGES`."""
        self._stage_of[name].observe(milliseconds / 1000)
        self._sample(f"{STAGE}/{name}", milliseconds)

    def _sample(self, name: str, value: float) -> None:
        self._samples.setdefault(name, deque(maxlen=EMF_VALUES)).append(round(value, 3))

    def prometheus(self) -> bytes:
        """Return all metrics in Prometheus text format."""
        return generate_latest(self.registry)

    def emf_lines(self) -> list[str]:
        """Return the metrics since the last call as lines of embedded metric format."""
        values: dict[str, float | list[float]] = {name: self._since_emitted[name] for name in COUNTERS}
        values |= {name: read() for name, read in self._levels.items()}
        values[BREAKER_OPEN] = max(self._open.values(), default=0)
        stages: dict[str, list[float]] = {}
        for name, samples in self._samples.items():
            if name == MESSAGE_AGE:
                values[MESSAGE_AGE] = list(samples)
            else:
                stages[name.partition("/")[2]] = list(samples)
        self._since_emitted.clear()
        self._samples.clear()
        lines = [self._emf(values, {})]
        lines += [self._emf({BREAKER_OPEN: value}, {DEPENDENCY_DIMENSION: name}) for name, value in self._open.items()]
        lines += [self._emf({STAGE: samples}, {"Stage": name}) for name, samples in stages.items()]
        return lines

    def _emf(self, values: Mapping[str, float | list[float]], more: dict[str, str]) -> str:
        dimensions = {DIMENSION: self._service, **more}
        metrics = [{"Name": name, "Unit": _unit(name)} for name in values]
        about = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}
        meta = {"Timestamp": int(self._clock() * 1000), "CloudWatchMetrics": [about]}
        return json.dumps({"_aws": meta, **dimensions, **values})

    async def emit(self, *, every_s: float = 60.0, stream: TextIO = sys.stdout) -> None:
        """Write embedded metric format every `every_s` seconds until cancelled, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(every_s)
                self._write(stream)
        finally:
            self._write(stream)

    def _write(self, stream: TextIO) -> None:
        stream.write("".join(f"{line}\n" for line in self.emf_lines()))
        stream.flush()


def _unit(name: str) -> str:
    if name in {MESSAGE_AGE, "SecondsSinceReceive"}:
        return "Seconds"
    if name == STAGE:
        return "Milliseconds"
    return "Count" if name in COUNTERS else "None"


def configure_logging(*, level: str = "info", style: str = "json", stream: TextIO = sys.stdout) -> None:
    """Set up structlog: one event per line, as JSON or in colours. Other libraries log only warnings and errors."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer()
    )
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_frames_only),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def _frames_only(exc_info: structlog.typing.ExcInfo) -> str:
    """Return where an error came from, without its message, which may quote receipt content."""
    kind, _, frame = exc_info
    places = []
    while frame is not None:
        code = frame.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/worker/')[2]}:{frame.tb_lineno} {code.co_name}")
        frame = frame.tb_next
    return f"{kind.__name__} at " + " > ".join(places[-8:])
