"""The least that the keys of this host, or of W&B's server, must be allowed, as the JSON that the store takes."""

from __future__ import annotations

from typing import Any, Final, Literal

from wbagent.config.dsn import S3URL

Kind = Literal["aws", "ceph", "minio"]
_OF_THE_WRITER: Final = [
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:BypassGovernanceRetention",
    "s3:PutObjectAcl",
    "s3:PutObjectVersionAcl",
]


def least_policy(kind: Kind, url: S3URL, owner: str, *, read_back: bool, lock: bool) -> dict[str, Any]:
    """For AWS and MinIO the policy of a user, for Ceph the bucket's, put by its owner (replace USER and OWNER).

    Nothing in it deletes. What backups need: to put objects and parts of them, to let go of unfinished uploads, to list
    names. With `read_back` also to read, which proves what was stored and lets this host drill and restore. With `lock`
    to lock what is put, which can make a lock longer but never shorter. Retention is then left to the bucket's
    lifecycle rules. In a bucket without versions putting is enough to destroy: turn them on.
    """
    bucket = f"arn:aws:s3:::{url.bucket}"
    below = "/".join(part for part in (url.prefix, owner) if part) + "/*"
    on_objects = ["s3:PutObject", "s3:AbortMultipartUpload"]
    on_objects += ["s3:GetObject"] if read_back else []
    on_objects += ["s3:PutObjectRetention"] if lock else []
    statements: list[dict[str, Any]] = [
        {"Sid": "Objects", "Effect": "Allow", "Action": on_objects, "Resource": f"{bucket}/{below}"},
        {
            "Sid": "Names",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": below}},
        },
        {
            "Sid": "Settings",
            "Effect": "Allow",
            # The first knows no condition on prefixes: these keys see the names of others' unfinished uploads.
            "Action": [
                "s3:ListBucketMultipartUploads",
                "s3:GetBucketVersioning",
                "s3:GetBucketObjectLockConfiguration",
            ],
            "Resource": bucket,
        },
    ]
    if kind == "ceph":
        statements = [{**statement, "Principal": _ceph_user("USER")} for statement in statements]
        # In Ceph an object is its writer's, who may do anything with it that no policy forbids, and nobody else may.
        denied = _OF_THE_WRITER + ([] if read_back else ["s3:GetObject", "s3:GetObjectVersion"])
        refusal = {"Sid": "Never", "Effect": "Deny", "Action": denied, "Resource": f"{bucket}/*"}
        statements.append({**refusal, "Principal": _ceph_user("USER")})
        everything = {"Action": "s3:*", "Resource": [bucket, f"{bucket}/*"]}
        statements.append({"Sid": "Owner", "Effect": "Allow", **everything, "Principal": _ceph_user("OWNER")})
    return {"Version": "2012-10-17", "Statement": statements}


def least_server_policy(kind: Kind, url: S3URL) -> dict[str, Any]:
    """For the keys of W&B's server in its own bucket; as for backups, Ceph's is the bucket's (replace USER and OWNER).

    The server signs URLs for what its own keys may do: to put, get and delete objects. The rest lets it, and
    `wbagent check bucket`, see what is there and how the bucket is set up; nothing in it changes the bucket.
    """
    bucket = f"arn:aws:s3:::{url.bucket}"
    below = "/".join(part for part in (url.prefix, "*") if part)
    statements: list[dict[str, Any]] = [
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": [
                "s3:PutObject",
                "s3:GetObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            "Resource": f"{bucket}/{below}",
        },
        {
            "Sid": "Bucket",
            "Effect": "Allow",
            "Action": [
                "s3:ListBucket",
                "s3:ListBucketMultipartUploads",
                "s3:GetBucketLocation",
                "s3:GetBucketCORS",
                "s3:GetBucketVersioning",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetLifecycleConfiguration",
            ],
            "Resource": bucket,
        },
    ]
    if kind == "minio":
        # It refuses a policy with an action that it does not know, and its older releases do not know this one.
        statements[1]["Action"].remove("s3:GetBucketCORS")
    if kind == "ceph":
        statements = [{**statement, "Principal": _ceph_user("USER")} for statement in statements]
        everything = {"Action": "s3:*", "Resource": [bucket, f"{bucket}/*"]}
        statements.append({"Sid": "Owner", "Effect": "Allow", **everything, "Principal": _ceph_user("OWNER")})
    return {"Version": "2012-10-17", "Statement": statements}


def kind_of(url: S3URL, server: str) -> Kind:
    """Which of them a store takes; `server` is the name that it gives itself in its answers ("" when not asked)."""
    if url.host is None or url.host.endswith(".amazonaws.com") or server == "AmazonS3":
        return "aws"
    return "ceph" if "ceph" in server.lower() else "minio"


def how_to_put(kind: Kind, url: S3URL, alias: str) -> str:
    """The command that gives the policy, once it is in FILE, to the keys."""
    name = f"wandb-{url.bucket}"
    match kind:
        case "aws":
            return f"aws iam put-user-policy --user-name USER --policy-name {name} --policy-document file://FILE"
        case "ceph":
            at = f"--endpoint-url {url.endpoint_url} --bucket {url.bucket}"
            return f"aws s3api put-bucket-policy {at} --policy file://FILE   # as the bucket's owner"
        case "minio":
            create = f"mcli admin policy create {alias} {name} FILE"
            return f"{create} && mcli admin policy attach {alias} {name} --user {url.access_key or 'KEY'}"


def _ceph_user(name: str) -> dict[str, list[str]]:
    return {"AWS": [f"arn:aws:iam:::user/{name}"]}
