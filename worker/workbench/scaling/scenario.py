"""The assumptions of a simulation: worker, endpoint, AWS's delays and prices. Each default has its source."""

import math
from dataclasses import dataclass, field

from worker.workbench.scaling.policy import ScalingPolicy
from worker.workbench.scaling.ranges import require, require_whole

SECONDS_PER_HOUR = 3_600
QUEUE_SLEEPS_S = 6 * SECONDS_PER_HOUR
QUEUE_WAKES_S = 900
"""SQS stops publishing metrics of an inactive queue after six hours and resumes within 15 minutes.
Source: Amazon SQS developer guide, "Monitoring Amazon SQS queues using CloudWatch"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerModel:
    """A model of one task: a receipt holds a slot while it is fetched, prepared, invoked and stored."""

    slots: int = 32
    first_slots: int = 8
    """Concurrent invocations of a new task, as in worker/runtime/worker.py; each answer adds one."""
    before_s: float = 0.4
    """Fetch and prepare, before the invocation."""
    after_s: float = 0.1
    """Check and store, after the answer."""
    vcpu: float = 0.5
    memory_gb: float = 1.0
    cpu_s_per_receipt: float = 0.009
    """CPU seconds for a picture of 200 KB that is sent unchanged, measured by tests/benchmarks/calibration.py. A photo
    of 12 megapixels, which must be resized, adds 0.1 to 0.25."""
    idle_cpu_share: float = 0.01
    start_s: tuple[float, float] = (30.0, 90.0)
    """Range of seconds from the decision to the first receive, uniform: Fargate places, pulls and starts the task."""
    protected: bool = True
    """Whether scale-in spares working tasks (ECS task protection); otherwise they drain."""
    protected_idle_s: float = 5.0
    """Seconds without work until a task gives up its protection, as in worker/runtime/protection.py."""

    def __post_init__(self) -> None:
        require_whole("slots", self.slots, low=1, high=1_000)
        require_whole("first_slots", self.first_slots, low=1, high=1_000)
        for name in ("before_s", "after_s", "cpu_s_per_receipt", "protected_idle_s"):
            require(name, getattr(self, name), low=0, high=3_600)
        require("vcpu", self.vcpu, low=0.25, high=16)
        require("memory_gb", self.memory_gb, low=0.5, high=120)
        require("idle_cpu_share", self.idle_cpu_share, low=0, high=1)
        require("start_s", self.start_s[0], low=0, high=self.start_s[1])

    def slots_fed(self, receipt_s: float) -> int:
        """Return how many slots the task's CPU can keep busy: fewer than all with large photos on a small task."""
        if self.cpu_s_per_receipt == 0:
            return self.slots
        return max(1, min(self.slots, math.floor(self.vcpu / self.cpu_s_per_receipt * receipt_s)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointModel:
    """A model of the endpoint: instances with limited concurrency, a queue, and the endpoint's own autoscaling."""

    invoke_s: float = 3.5
    """Mean seconds of an invocation that does not wait."""
    variation: float = 0.4
    """Standard deviation of that time over its mean; lognormal."""
    concurrency: int = 64
    """Concurrent invocations per instance."""
    queue: int = 64
    """Invocations that may wait for one instance; further ones are throttled."""
    min_instances: int = 4
    max_instances: int = 8
    start_s: float = 420.0
    """Seconds from the decision to an instance in service: GPU host, container and weights take minutes."""
    target_share: float = 0.7
    """Share of the concurrency at which the endpoint's own target tracking keeps concurrent requests."""

    def __post_init__(self) -> None:
        require("invoke_s", self.invoke_s, low=0, high=60, above=True)
        require("variation", self.variation, low=0, high=5)
        require_whole("concurrency", self.concurrency, low=1, high=10_000)
        require_whole("queue", self.queue, low=0, high=100_000)
        require_whole("max_instances", self.max_instances, low=1, high=10_000)
        require_whole("min_instances", self.min_instances, low=1, high=self.max_instances)
        require("start_s", self.start_s, low=0, high=7_200)
        require("target_share", self.target_share, low=0.05, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """On-demand prices in US dollars, Linux on x86, us-east-1 unless noted, from the named sources."""

    vcpu_hour: float = 0.04048
    """Fargate: aws.amazon.com/fargate/pricing, as quoted on 2026-03-10 by wring.co/blog/aws-fargate-pricing-guide."""
    gb_hour: float = 0.004445
    """Fargate, the same source."""
    instance_hour: float = 1.222
    """ml.g6.2xlarge in us-west-2, from AWS's Price List API as kept in a public repository in 2026."""
    million_requests: float = 0.40
    """SQS standard: factualminds.com/blog/amazon-sqs-pricing-64kb-rule-fifo-vs-standard of 2026-06-13; no free tier."""

    def __post_init__(self) -> None:
        for name in ("vcpu_hour", "gb_hour", "instance_hour", "million_requests"):
            require(name, getattr(self, name), low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The assumptions that all compared policies share."""

    worker: WorkerModel = field(default_factory=WorkerModel)
    endpoint: EndpointModel = field(default_factory=EndpointModel)
    prices: Prices = field(default_factory=Prices)
    notify_s: float = 1.0
    """Seconds from the upload to the message in the queue (Amazon S3 user guide, event notifications: "seconds")."""
    metric_delay_s: int = 60
    """Age of the newest data point of SQS, ECS and Container Insights that an alarm sees, seconds."""
    queue_kept_awake: bool = True
    """Whether a client reads the queue's attributes regularly, so that SQS keeps publishing its metrics: see
    QUEUE_SLEEPS_S."""
    seed: int = 1

    def __post_init__(self) -> None:
        require("notify_s", self.notify_s, low=0, high=3_600)
        require_whole("metric_delay_s", self.metric_delay_s, low=0, high=900)
        if self.metric_delay_s % 60:
            raise ValueError(f"metric_delay_s is {self.metric_delay_s}; it must be a multiple of 60")

    @property
    def receipt_s(self) -> float:
        """Mean seconds for which a receipt holds a slot without overload."""
        return self.worker.before_s + self.endpoint.invoke_s + self.worker.after_s

    def policy(
        self, *, acceptable_latency_s: float, busy_share: float, min_tasks: int, max_tasks: int
    ) -> ScalingPolicy:
        """Return the policy that fits this worker and the endpoint at its largest size."""
        most_invocations = self.endpoint.max_instances * self.endpoint.concurrency
        return ScalingPolicy(
            receipt_s=self.receipt_s,
            slots_per_task=self.worker.slots_fed(self.receipt_s),
            acceptable_latency_s=acceptable_latency_s,
            busy_share=busy_share,
            endpoint_receipts_per_s=most_invocations / self.endpoint.invoke_s,
            min_tasks=min_tasks,
            max_tasks=max_tasks,
        )
