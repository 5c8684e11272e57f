"""Signatures equal those of botocore."""

import calendar
import time
from hashlib import sha256

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.utils import percent_encode
from hypothesis import given
from hypothesis import strategies as st

from worker.aws.signature import STAMP, Signer

printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
headers = st.dictionaries(
    st.from_regex(r"x-am[yz](-[a-z]{1,12}){1,2}", fullmatch=True).filter(
        lambda name: name not in ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    max_size=5,
)
credentials = st.builds(ReadOnlyCredentials, printable, printable, st.none() | printable, st.none())


def _second(stamp: str) -> int:
    return calendar.timegm(time.strptime(stamp, STAMP))


@given(headers, st.lists(st.tuples(credentials, st.binary(max_size=200)), min_size=1, max_size=4))
def test_one_signer_signs_many_requests_as_botocore_does(
    more: dict[str, str], requests: list[tuple[ReadOnlyCredentials, bytes]]
) -> None:
    """Signatures are equal for any headers and bodies, and when credentials change between requests."""
    common = {"content-type": "application/x-amz-json-1.0", **more}
    signer = Signer(
        method="POST", headers={**common, "host": "sqs.eu-west-1.amazonaws.com"}, region="eu-west-1", service="sqs"
    )
    for one, body in requests:
        request = AWSRequest("POST", "https://sqs.eu-west-1.amazonaws.com/", dict(common), body)
        SigV4Auth(one, "sqs", "eu-west-1").add_auth(request)
        signed = signer.sign(
            one, at=_second(request.headers["X-Amz-Date"]), path="/", payload_sha256=sha256(body).hexdigest()
        )
        assert signed == {name: request.headers[name] for name in signed}
        assert ("X-Amz-Security-Token" in signed) == bool(one.token)


@given(credentials, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60), st.none() | printable)
def test_an_objects_key_and_version_are_signed_as_botocore_does(
    one: ReadOnlyCredentials, key: str, version: str | None
) -> None:
    """For S3 the path is signed as it is sent, whatever characters the key has."""
    path = "/bucket/" + percent_encode(key, safe="/~")
    query = f"versionId={percent_encode(version)}" if version else ""
    request = AWSRequest("GET", f"http://127.0.0.1:4566{path}{'?' if query else ''}{query}")
    S3SigV4Auth(one, "s3", "us-east-1").add_auth(request)
    signer = Signer(
        method="GET",
        headers={"host": "127.0.0.1:4566", "x-amz-content-sha256": request.headers["X-Amz-Content-SHA256"]},
        region="us-east-1",
        service="s3",
    )
    signed = signer.sign(one, at=_second(request.headers["X-Amz-Date"]), path=path, query=query)
    assert signed == {name: request.headers[name] for name in signed}
