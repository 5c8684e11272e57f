"""Errors on the way to AWS are one line; the exit code separates settings from outages."""

import pytest

from tests.support.command import receipts

AWS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "not-a-url"),
        ("AWS_DEFAULTS_MODE", "bogus"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "bogus"),
        ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "bogus"),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "abc"),
        ("AWS_PROFILE", "missing"),
        ("AWS_REGION", ""),
    ],
)
def test_an_aws_setting_that_cannot_work_is_refused_in_one_line(name: str, value: str) -> None:
    """A wrong AWS setting is one line and exit 2, never a traceback."""
    result = receipts("list", **AWS | {name: value})
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("receipts: ")
    assert result.stderr.count("\n") == 1
    assert value in result.stderr
    assert "cannot be reached" not in result.stderr


def test_aws_that_does_not_answer_is_not_misuse() -> None:
    """If nothing answers, the exit code is 1 and the line names the address."""
    result = receipts("list", **AWS)
    assert (result.returncode, result.stdout) == (1, "")
    assert "cannot be reached" in result.stderr
    assert "http://127.0.0.1:9" in result.stderr
