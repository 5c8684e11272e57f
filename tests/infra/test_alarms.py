"""Alarms, scaling policies and the dashboard only read metrics that the worker emits or AWS documents."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.infra.offline import PROJECT, State
from worker.runtime.build import Dependencies
from worker.settings import Settings
from worker.telemetry import COUNTERS, GAUGES, STAGES, Telemetry

DOCUMENTED = {
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": (
        {"QueueName"},
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesDeleted",
            "NumberOfMessagesSent",
        },
    ),
    # docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
    "ECS/ContainerInsights": ({"ClusterName", "ServiceName"}, {"DesiredTaskCount", "RunningTaskCount"}),
    # docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    "AWS/SageMaker": ({"EndpointName", "VariantName"}, {"Invocation5XXErrors", "ModelLatency"}),
}
"""AWS metrics in use and their dimensions, by namespace, with the document that lists them."""

MOST_SECONDS = 86_400
"""The longest time that an alarm may evaluate: one day, for a period below an hour or of a day
(docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html)."""

MEANT_TO_EXIST = {
    "oldest-message",
    "stalled",
    "dead-letters",
    "failures",
    "throttles",
    "no-worker",
    "silent-worker",
    "review-queue",
    *(f"breaker-{name}" for name in ("sqs", "s3", "sagemaker", "dynamodb", "machine")),
    "endpoint-errors-main",
    "endpoint-latency-main",
}


@dataclass(frozen=True)
class Metric:
    """One metric as CloudWatch identifies it."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@pytest.fixture(params=["express", "custom"])
def state(request: pytest.FixtureRequest) -> State:
    """Return the state of each root in turn."""
    found: State = request.getfixturevalue(request.param)
    return found


def test_every_metric_that_is_read_exists(state: State) -> None:
    """Namespace, name and dimensions of each metric are documented by AWS, or emitted by the deployed worker."""
    emitted = _emitted(_environment(state)["RECEIPTS_SERVICE"])
    read = set(_read(state))
    assert {metric.namespace for metric in read} == {"Receipts", *DOCUMENTED}
    missing = {metric for metric in read if metric not in emitted and not _documented(metric)}
    assert not missing


def test_every_breaker_has_its_alarm(state: State) -> None:
    """Each dependency with a breaker has an alarm."""
    dimensions = [dict(metric.dimensions) for metric in _emitted("any")]
    watched = {found["Dependency"] for found in dimensions if "Dependency" in found}
    alarms = [address for address in state.resources("aws_cloudwatch_metric_alarm") if "breaker-" in address]
    assert sorted(watched) == sorted(address.split("breaker-")[1].rstrip('"]') for address in alarms)


def test_every_way_to_get_stuck_has_an_alarm_that_notifies_the_topic(state: State) -> None:
    """All alarms exist, describe what to do, and notify the topic when they start and when they end."""
    topic = state.one("module.observability.aws_sns_topic.alarms")["arn"]
    alarms = {
        address.split('"')[1]: alarm
        for address, alarm in state.resources("aws_cloudwatch_metric_alarm").items()
        if ".observability." in address
    }
    assert set(alarms) == MEANT_TO_EXIST
    for name, alarm in alarms.items():
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [topic], name
        assert 60 <= len(alarm["alarm_description"]) <= 1_024, name
        period = max(query["metric"][0]["period"] for query in alarm["metric_query"] if query["metric"])
        assert alarm["evaluation_periods"] * period <= MOST_SECONDS, name
        assert sum(bool(query["return_data"]) for query in alarm["metric_query"]) == 1, name


def test_the_runbook_has_every_alarm() -> None:
    """docs/operations.md names each alarm, with a common name for those of variants and breakers."""
    runbook = (PROJECT / "docs" / "operations.md").read_text()
    for name in MEANT_TO_EXIST:
        known = name.replace("-main", "-VARIANT")
        assert f"`{known}`" in runbook or f"`-{name.removeprefix('breaker-')}`" in runbook, name


def test_only_cloudwatch_of_this_account_may_publish_to_the_topic(state: State) -> None:
    """The topic's policy names the sender, the account and the prefix of the alarms."""
    policy = json.loads(state.one("module.observability.aws_sns_topic_policy.alarms")["policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
    assert statement["Condition"]["ArnLike"]["aws:SourceArn"].endswith(":alarm:receipts-*")


def _documented(metric: Metric) -> bool:
    dimensions, names = DOCUMENTED.get(metric.namespace, (set(), set()))
    return metric.name in names and {name for name, _ in metric.dimensions} == dimensions


def _emitted(service: str) -> set[Metric]:
    """Return the metrics that the worker emits: the real telemetry's lines after every kind of event."""
    telemetry = Telemetry(service=service)
    Dependencies(Settings(_env_file=None), telemetry)
    for name in COUNTERS:
        telemetry.count(name)
    for name in GAUGES:
        telemetry.level(name, lambda: 1.0)
    telemetry.age(1.0)
    for stage in STAGES:
        telemetry.stage(stage, 1.0)
    found = set()
    for line in map(json.loads, telemetry.emf_lines()):
        for about in line["_aws"]["CloudWatchMetrics"]:
            for names in about["Dimensions"]:
                dimensions = frozenset((name, line[name]) for name in names)
                found |= {Metric(about["Namespace"], metric["Name"], dimensions) for metric in about["Metrics"]}
    return found


def _environment(state: State) -> dict[str, str]:
    """Return the environment of the deployed worker."""
    for service in state.resources("aws_ecs_express_gateway_service").values():
        return {pair["name"]: pair["value"] for pair in service["primary_container"][0]["environment"]}
    task = state.one("module.worker.aws_ecs_task_definition.worker")
    (container,) = json.loads(task["container_definitions"])
    return {pair["name"]: pair["value"] for pair in container["environment"]}


def _read(state: State) -> Iterator[Metric]:
    """Return every metric that the alarms, policies and dashboard of the state read."""
    for alarm in state.resources("aws_cloudwatch_metric_alarm").values():
        for query in alarm["metric_query"]:
            for metric in query["metric"]:
                yield Metric(metric["namespace"], metric["metric_name"], frozenset(metric["dimensions"].items()))
    for policy in state.resources("aws_appautoscaling_policy").values():
        for tracking in policy["target_tracking_scaling_policy_configuration"]:
            for specification in tracking["customized_metric_specification"]:
                yield from _tracked(specification)
    for dashboard in state.resources("aws_cloudwatch_dashboard").values():
        for widget in json.loads(dashboard["dashboard_body"])["widgets"]:
            for row in widget["properties"].get("metrics", []):
                if isinstance(row[0], str):
                    namespace, name, *rest = [word for word in row if isinstance(word, str)]
                    yield Metric(namespace, name, frozenset(zip(rest[::2], rest[1::2], strict=True)))


def _tracked(specification: dict[str, Any]) -> Iterator[Metric]:
    for entry in specification["metrics"]:
        for stat in entry["metric_stat"]:
            for metric in stat["metric"]:
                dimensions = frozenset((pair["name"], pair["value"]) for pair in metric["dimensions"])
                yield Metric(metric["namespace"], metric["metric_name"], dimensions)
