"""Connection strings: what is written is read back the same, and what people get wrong is refused with the way out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbagent.config.connection_string import ConnectionString, ConnectionStringError
from wbagent.config.dsn import S3URL, ForeignBucketURL, MysqlURL, RedisURL, parse_server_bucket

anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
hosts = st.from_regex(r"\A[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{1,8})?\Z")
ports = st.integers(1, 65535)
buckets = st.from_regex(r"\A[a-z0-9][a-z0-9-]{1,20}[a-z0-9]\Z")
prefixes = st.lists(anything.filter(lambda text: "/" not in text), max_size=3).map("/".join)


@given(user=anything, password=anything, host=hosts, port=ports, database=anything.filter(lambda t: "/" not in t))
def test_mysql_round_trip(user: str, password: str, host: str, port: int, database: str) -> None:
    url = MysqlURL(user, password, host, port, database, (("tls", "true"), ("ssl-ca", "/etc/ca +.pem")))
    assert MysqlURL.parse(str(url)) == url


@given(key=anything, secret=anything, host=hosts, port=ports | st.none(), bucket=buckets, prefix=prefixes)
def test_s3_round_trip(key: str, secret: str, host: str, port: int | None, bucket: str, prefix: str) -> None:
    url = S3URL(key, secret, host, port, bucket, prefix, (("region", "us-east-1"), ("tls", "true")))
    assert S3URL.parse(str(url)) == url


@given(password=anything, host=hosts, port=ports)
def test_redis_round_trip(password: str, host: str, port: int) -> None:
    url = RedisURL("", password, host, port, "", (("tls", "true"), ("caCertPath", "/a/b c")))
    assert RedisURL.parse(str(url)) == url


@given(secret=st.text("XYZ", min_size=8, max_size=8), host=hosts)
def test_masked_and_repr_hide_the_secret(secret: str, host: str) -> None:
    for url in (
        MysqlURL("u", secret, host, 3306, "db"),
        S3URL("k", secret, host, None, "bucket"),
        RedisURL("", secret, host, 6379),
    ):
        assert secret not in url.masked()
        assert secret not in repr(url)
        assert secret in str(url)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (MysqlURL, "mysql://u:a+b@h/db", "%2B"),
        (MysqlURL, "mysql://u:a/b@h/db", "%2F"),
        (MysqlURL, "mysql://u:a#b@h/db", "%23"),
        (MysqlURL, "mysql://u:a?b@h/db", "%3F"),
        (MysqlURL, "mysql://u:a@b@h/db", "%40"),
        (MysqlURL, "mysql://u:a:b@h/db", "%3A"),
        (MysqlURL, "mysql://u:a%b@h/db", "%25"),
        (MysqlURL, "mysql://u:a[b@h/db", "%5B"),
        (MysqlURL, "mysql://u:a b@h/db", "%20"),
        (MysqlURL, "mysql://u:%ff@h/db", "UTF-8"),
        (MysqlURL, "mysql://u:p@h", "no database"),
        (MysqlURL, "mysql://u:p@h/", "no database"),
        (MysqlURL, "mysql://h/db", "no user"),
        (MysqlURL, "mysql://u:p@/db", "no host"),
        (MysqlURL, "mysql://u:p@h:70000/db", "not a port"),
        (MysqlURL, "mysql://u:p@h:0/db", "port 0"),
        (MysqlURL, "mysql://u:p@db..example.com/db", "a part that is empty"),
        (MysqlURL, f"mysql://u:p@{'h' * 64}.example.com/db", "longer than 63"),
        (MysqlURL, "mysql://u:p@h/db?tls=yes", "tls"),
        (MysqlURL, "mysql://u:p@h/db?tls=true&tls=false", "twice"),
        (MysqlURL, "mysql://u:p@h/db?tls", "key=value"),
        (MysqlURL, "postgres://u:p@h/db", "unknown scheme"),
        (MysqlURL, "u:p@h/db", "expected a connection string"),
        (S3URL, "s3://k:s@h", "no bucket"),
        (S3URL, "s3://k:s@h:9000/", "no bucket"),
        (S3URL, "gcs://bucket", "unknown scheme"),
        (S3URL, "s3://k@h/bucket", "without a secret key"),
        (S3URL, "s3://k:s@h/UPPER", "not one that S3 allows"),
        (S3URL, "s3://k:s@h/bucket?tls=1", "true or false"),
        (RedisURL, "redis://h/name", "number"),
        (ForeignBucketURL, "gs://", "no bucket"),
    ],
)
def test_what_people_get_wrong(kind: type[ConnectionString], text: str, told: str) -> None:
    with pytest.raises(ConnectionStringError) as caught:
        kind.parse(text)
    assert told in str(caught.value)


@given(st.text(max_size=60))
def test_nothing_but_our_own_error(text: str) -> None:
    for kind in (MysqlURL, S3URL, RedisURL):
        with suppress(ConnectionStringError):
            url = kind.parse(f"{kind.schemes[0]}://{text}")
            assert kind.parse(str(url)) == url


def test_gcs_says_gs() -> None:
    with pytest.raises(ConnectionStringError, match="gs://"):
        parse_server_bucket("gcs://bucket")


def test_forms_of_s3() -> None:
    plain = S3URL.parse("s3://k:s@minio:9000/files/a/b?region=us-east-1")
    assert (plain.endpoint_url, plain.bucket, plain.prefix, plain.path_style) == (
        "http://minio:9000", "files", "a/b", True,
    )  # fmt: skip
    amazon = S3URL.parse("s3://files/prefix?region=eu-west-1")
    assert (amazon.endpoint_url, amazon.bucket, amazon.prefix, amazon.tls) == (None, "files", "prefix", True)
    assert S3URL.parse("s3://k:s@minio/files?tls=true").endpoint_url == "https://minio"


def test_foreign_buckets_pass_unread() -> None:
    assert str(parse_server_bucket("gs://bucket/a")) == "gs://bucket/a"
    assert ForeignBucketURL.parse("az://account:KEY@bucket").masked() == "az://***@bucket"
