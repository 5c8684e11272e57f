"""Terraform's resources equal those of the embedded stack, and scaling uses the numbers of `receipts scale plan`."""

import json
from typing import Any

import pytest

from tests.infra.offline import ACCOUNT, BASIC, Offline, State
from worker.aws.resources import (
    OWN_PREFIX,
    ResourceSpecs,
    dead_letter_attributes,
    index_projection,
    queue_attributes,
    queue_policy,
)
from worker.workbench.scaling.plan import plan
from worker.workbench.scaling.policy import ScalingPolicy

ATTRIBUTES = {
    "visibility_timeout_seconds": "VisibilityTimeout",
    "receive_wait_time_seconds": "ReceiveMessageWaitTimeSeconds",
    "message_retention_seconds": "MessageRetentionPeriod",
    "sqs_managed_sse_enabled": "SqsManagedSseEnabled",
    "redrive_policy": "RedrivePolicy",
}
"""The Terraform provider's names of SQS attributes."""


@pytest.fixture(params=["express", "custom"])
def state(request: pytest.FixtureRequest) -> State:
    """Return the state of each root in turn."""
    found: State = request.getfixturevalue(request.param)
    return found


def test_the_queues_have_the_attributes_of_the_specs(state: State) -> None:
    """Terraform's queues have the attributes and the redrive policy of the specs."""
    specs = ResourceSpecs()
    work, dead = (state.one(f"module.intake.aws_sqs_queue.{name}") for name in ("work", "dead_letter"))
    assert (work["name"], dead["name"]) == (specs.queue.name, specs.queue.dead_letter_name)
    for queue, wanted in (
        (work, queue_attributes(specs.queue, dead_letter_arn=dead["arn"])),
        (dead, dead_letter_attributes(specs.queue)),
    ):
        found = {name: _plain(queue[ours]) for ours, name in ATTRIBUTES.items() if name in wanted}
        assert found == {name: _plain(value) for name, value in wanted.items()}


def test_the_queue_policy_is_that_of_the_specs(state: State) -> None:
    """The queue policy has the same statements: only this bucket of this account, and only over TLS."""
    found = state.one("module.intake.aws_sqs_queue_policy.work")
    bucket = state.one("module.intake.aws_s3_bucket.uploads[0]")
    queue = state.one("module.intake.aws_sqs_queue.work")
    wanted = queue_policy(queue_arn=queue["arn"], bucket_arn=bucket["arn"], account_id=ACCOUNT)
    assert json.loads(found["policy"]) == wanted


def test_the_table_is_that_of_the_specs(state: State) -> None:
    """The table has the same keys, indexes, projections and expiry attribute."""
    found = state.one("module.results.aws_dynamodb_table.results")
    specs = ResourceSpecs().table
    wanted = specs.create_table_arguments()
    assert found["name"] == wanted["TableName"]
    assert found["billing_mode"] == wanted["BillingMode"]
    assert found["hash_key"] == specs.partition_key
    assert not found["range_key"]
    assert {(a["name"], a["type"]) for a in found["attribute"]} == {
        (a["AttributeName"], a["AttributeType"]) for a in wanted["AttributeDefinitions"]
    }
    assert {index["name"]: _index(index) for index in found["global_secondary_index"]} == {
        index.name: (
            [(index.partition_key, "HASH"), (index.sort_key, "RANGE")],
            index_projection(index)["ProjectionType"],
            sorted(index_projection(index).get("NonKeyAttributes", [])),
        )
        for index in specs.indexes
    }
    assert found["ttl"][0] == {"attribute_name": specs.ttl_attribute, "enabled": True}


def test_the_bucket_and_its_events_are_those_of_the_specs(state: State) -> None:
    """The bucket is versioned and sends the same events to the queue, unfiltered."""
    specs = ResourceSpecs().bucket
    notification = state.one("module.intake.aws_s3_bucket_notification.uploads[0]")
    versioning = state.one("module.intake.aws_s3_bucket_versioning.uploads[0]")
    (queue,) = notification["queue"]
    assert queue["queue_arn"] == state.one("module.intake.aws_sqs_queue.work")["arn"]
    assert sorted(queue["events"]) == sorted(specs.events)
    assert not queue["filter_prefix"]
    assert not queue["filter_suffix"]
    assert (versioning["versioning_configuration"][0]["status"] == "Enabled") is specs.versioned


def test_the_worker_may_write_only_under_its_own_prefix(custom: State) -> None:
    """The worker may only write under its own prefix of the bucket."""
    bucket = custom.one("module.intake.aws_s3_bucket.uploads[0]")
    policy = json.loads(custom.one("module.worker_task.aws_iam_role_policy.task")["policy"])
    writes = [found["Resource"] for found in policy["Statement"] if "s3:PutObject" in found["Action"]]
    assert writes == [f"{bucket['arn']}/{OWN_PREFIX}*"]


@pytest.mark.parametrize(("root", "min_tasks"), [("express", 1), ("custom", 0)])
def test_the_fleet_scales_by_the_plan(root: str, min_tasks: int, request: pytest.FixtureRequest) -> None:
    """The defaults of both roots equal those of `receipts scale plan`: numbers, steps and metric math."""
    state: State = request.getfixturevalue(root)
    wanted = plan(ScalingPolicy(receipt_s=4.0, min_tasks=min_tasks))
    metrics = wanted.as_dict()
    for name, sign, data_points in (
        ("shortfall", 1, wanted.scale_out_data_points),
        ("surplus", -1, wanted.scale_in_data_points),
    ):
        policy = state.one(f'module.scaling.aws_appautoscaling_policy.step["{name}"]')
        (steps,) = policy["step_scaling_policy_configuration"]
        assert steps["cooldown"] == wanted.cooldown_s
        assert sorted(map(_step, steps["step_adjustment"])) == [
            (step.from_tasks - 1, step.to_tasks - 1 if step.to_tasks else None, sign * step.tasks)
            for step in wanted.steps
        ]
        alarm = state.one(f'module.scaling.aws_cloudwatch_metric_alarm.step["{name}"]')
        expressions = {found["id"]: found["expression"] for found in alarm["metric_query"] if found["expression"]}
        assert expressions == {"tasks": metrics["tasks_metric"], "decision": metrics[f"{name}_metric"]}
        assert alarm["evaluation_periods"] == data_points
        assert alarm["threshold"] == 1
        assert alarm["alarm_actions"] == [policy["arn"]]
    assert _tasks(state) == (wanted.min_tasks, wanted.max_tasks)
    oldest = state.one('module.observability.aws_cloudwatch_metric_alarm.all["oldest-message"]')
    assert oldest["threshold"] == wanted.oldest_message_alarm_s


def test_target_tracking_equals_the_plan(offline: Offline) -> None:
    """Target tracking matches too, with numbers that the command printed as tfvars."""
    wanted = plan(ScalingPolicy(receipt_s=2.5, max_tasks=5_000))
    state = offline.apply("custom", BASIC | {"scaling_policy": "target_tracking", "scaling": wanted.as_dict()})
    policy = state.one("module.scaling.aws_appautoscaling_policy.backlog[0]")
    (target,) = policy["target_tracking_scaling_policy_configuration"]
    (specification,) = target["customized_metric_specification"]
    expressions = {found["id"]: found["expression"] for found in specification["metrics"] if found["expression"]}
    assert target["target_value"] == wanted.backlog_per_task
    assert expressions == {"tasks": wanted.as_dict()["tasks_metric"], "backlog_per_task": wanted.backlog_metric}
    assert _tasks(state) == (0, wanted.max_tasks)


def _plain(value: Any) -> Any:
    """Return an attribute in a comparable form: JSON parsed, everything else as SQS's text."""
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _index(index: dict[str, Any]) -> tuple[list[tuple[str, str]], str, list[str]]:
    keys = [(key["attribute_name"], key["key_type"]) for key in index["key_schema"]]
    return keys, index["projection_type"], sorted(index["non_key_attributes"])


def _step(step: dict[str, Any]) -> tuple[int, int | None, int]:
    low, high = step["metric_interval_lower_bound"], step["metric_interval_upper_bound"]
    return int(float(low)), int(float(high)) if high else None, step["scaling_adjustment"]


def _tasks(state: State) -> tuple[int, int]:
    for service in state.resources("aws_ecs_express_gateway_service").values():
        (target,) = service["scaling_target"]
        return target["min_task_count"], target["max_task_count"]
    target = state.one("module.worker.aws_appautoscaling_target.worker")
    return target["min_capacity"], target["max_capacity"]
