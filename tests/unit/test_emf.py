"""Embedded metric format, checked against its specification.

Source: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry import BREAKER_OPEN, COUNTERS, STAGES, Telemetry

UNITS = {"Seconds", "Milliseconds", "Count", "None"}
happenings = st.lists(
    st.tuples(st.just("count"), st.sampled_from(COUNTERS), st.integers(1, 9))
    | st.tuples(st.just("stage"), st.sampled_from(STAGES), st.floats(0, 1e5))
    | st.tuples(st.just("age"), st.just(""), st.floats(0, 1e6)),
    max_size=300,
)


def valid(line: str) -> dict[str, Any]:
    """Return the parsed line, which must conform to the specification."""
    assert "\n" not in line
    assert len(line) < 1_000_000
    content: dict[str, Any] = json.loads(line)
    meta = content["_aws"]
    assert isinstance(meta["Timestamp"], int)
    for about in meta["CloudWatchMetrics"]:
        assert about["Namespace"]
        assert len(about["Metrics"]) <= 100
        for dimensions in about["Dimensions"]:
            assert 1 <= len(dimensions) <= 30
            assert all(isinstance(content[name], str) and content[name] for name in dimensions)
        for metric in about["Metrics"]:
            assert metric.get("Unit", "None") in UNITS
            value = content[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 1 <= len(values) <= 100
            assert all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
    return content


@given(happenings)
def test_every_line_is_valid_and_counts_are_reported_once(happened: list[tuple[str, str, Any]]) -> None:
    """Each line conforms to the specification for any events, and no event is reported twice."""
    telemetry = Telemetry(clock=lambda: 1_700_000_000.5)
    telemetry.level("InFlight", lambda: 3)
    telemetry.breaker("s3", is_open=True)
    telemetry.breaker("sqs", is_open=False)
    expected = dict.fromkeys(COUNTERS, 0)
    for kind, name, value in happened:
        if kind == "count":
            telemetry.count(name, value)
            expected[name] += value
        elif kind == "stage":
            telemetry.stage(name, value)
        else:
            telemetry.age(value)
    first, *others = [valid(line) for line in telemetry.emf_lines()]
    assert {name: first[name] for name in COUNTERS} == expected
    assert (first["InFlight"], first[BREAKER_OPEN]) == (3, 1)
    assert {line["Dependency"]: line[BREAKER_OPEN] for line in others if "Dependency" in line} == {"s3": 1, "sqs": 0}
    again = valid(telemetry.emf_lines()[0])
    assert all(again[name] == 0 for name in COUNTERS)
