"""A support bundle holds what support needs and no secret: all of it is searched, by a search that is shown to find."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import time
from collections.abc import Mapping
from urllib.parse import quote

import pytest
import zstandard

from tests.host.server_case import UNIT
from tests.testbed.bed import Bed, configure, reload
from tests.testbed.host import Host

# One for each place where a secret may stand, each in a form that no other text has, nor another test of this bed: they
# stay in the journal.
SECRETS = {
    "licence": "licence-Uf4Jr7Wb1Ek",
    "redis": "redis/Rw4+Zt9@Bn6%x",
    "database.url": "backup-Kd8Vb3#Tq1",
    "standby.url": "standby?Hm5&Yc2=Wf7",
    "backup.destination": "SecretKey/Jp6+Dn3Gz8",
    "backup access key": "AKIAXX7QLP2VW9ZARW4Z",
    "server.env": 'oidc-Nf2Sx9"quoted\\Lk4',
    "server.env with a plain name": "Zb7-unnamed-Cv1Hj5",
    "token of a destination": "tokenQw3Er5Ty7",
    "password of mail": "mail:Vx8Ub2Im4",
    "ping_agent": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "ping_backup": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "drop-in": "dropin-Pa9Xs2Ld6",
    "credential": "credential-Ow5Te8Rm3",
}
# Too short to be hidden wherever its characters are.
SHORT = "z9!"
# What must be found, or the search could not find anything.
HARMLESS = "harmless-Gy6Dk2"


def writings(secret: str) -> Mapping[str, bytes]:
    """A secret as the bundle could hold it, base64 without the characters that depend on what stands beside it."""
    raw = secret.encode()
    shifted = {
        f"base64 after {before}": base64.b64encode(b"x" * before + raw)[
            (before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6
        ]
        for before in range(3)
    }
    coded = {f"{name} for URLs": text.translate(bytes.maketrans(b"+/", b"-_")) for name, text in shifted.items()}
    return {
        "raw": raw,
        "URL": quote(secret, safe="").encode(),
        "URL in small letters": quote(secret, safe="").replace("%2F", "%2f").encode(),
        "URL twice": quote(quote(secret, safe=""), safe="").encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON twice": json.dumps(json.dumps(secret)[1:-1])[1:-1].encode(),
        "hexadecimal": raw.hex().encode(),
        "the first half": raw[:12] if len(raw) > 12 else raw,
        **shifted,
        **coded,
    }


def unpacked(host: Host, path: str) -> tuple[dict[str, bytes], bytes]:
    """The bundle's files, and the whole archive without its compression."""
    packed = base64.b64decode(host.run(["base64", "--wrap=0", path]).stdout)
    if path.endswith(".zst"):
        plain = zstandard.ZstdDecompressor().stream_reader(packed).read()
    else:
        plain = gzip.decompress(packed)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        files = {}
        for entry in archive:
            file = archive.extractfile(entry)
            assert file
            assert entry.mode == 0o600
            files[entry.name.partition("/")[2]] = file.read()
    return files, plain


def places(files: Mapping[str, bytes], whole: bytes, secret: str) -> set[str]:
    """Where the secret is, and how it is written there."""
    found = {f"{name}: {way}" for name, data in files.items() for way, text in writings(secret).items() if text in data}
    return found | {f"archive: {way}" for way, text in writings(secret).items() if text in whole}


def settings(hosts: Bed) -> dict[str, Mapping[str, object]]:
    """A configuration with a secret at every key that may hold one; most of these places do not exist."""
    escaped = {name: quote(secret, safe="") for name, secret in SECRETS.items()}
    key = escaped["backup access key"]
    return hosts.web_settings(
        server={"redis": f"redis://:{escaped['redis']}@127.0.0.1:1", "license_file": "/etc/wandb.license"},
        database={"url": f"mysql://wandb_backup:{escaped['database.url']}@{hosts.db.address}/wandb_local"},
        standby={"url": f"mysql://wbagent:{escaped['standby.url']}@{hosts.db.address}/wandb_local"},
        backup={"destination": f"s3://{key}:{escaped['backup.destination']}@bucket:9000/wandb-backups?tls=false"},
        alerts={
            "to": [
                f"json://127.0.0.1:9/{SECRETS['token of a destination']}",
                f"mailto://ops:{escaped['password of mail']}@127.0.0.1:9?to=ops@example.com",
            ],
            "ping_agent": f"http://127.0.0.1:9/{SECRETS['ping_agent']}",
            "ping_backup": f"http://127.0.0.1:9/{SECRETS['ping_backup']}",
        },
        **{
            "server.env": {
                "OIDC_SECRET": SECRETS["server.env"],
                "GORILLA_THING": SECRETS["server.env with a plain name"],
                "GORILLA_SHORT": SHORT,
            }
        },
    )


def plant(host: Host) -> None:
    """Each secret, in each writing, in the container's log, the journal of units, and a record of an end."""
    lines = [f"panic: {HARMLESS}", f"GORILLA_SHORT={SHORT} {json.dumps({'GORILLA_SHORT': SHORT})} u:{SHORT}@db1"]
    for name, secret in SECRETS.items():
        lines += [f"{name.replace(' ', '-')} {text.decode()} end" for text in writings(secret).values()]
        lines.append(f"panic: dial wandb_local:{secret}@tcp(db1:3306)/wandb_local: no route")
        lines.append(
            json.dumps({"level": "error", "message": f"cannot open mysql://u:{secret}@db1/x", "LICENSE": secret})
        )
        # Cut off by whoever wrote it.
        lines.append(f"{'x' * 20} {secret[:13]}")
    text = "\n".join(lines)
    write = "import sys; sys.stdout = open('/proc/1/fd/1', 'w'); print(sys.stdin.read())"
    host.run(["docker", "exec", "--interactive", "wandb-local", "/usr/bin/python3.13", "-ISc", write], input=text)
    for line in lines:
        fields = f"MESSAGE={line}\nOBJECT_SYSTEMD_UNIT=wbagent-backup.service\n"
        host.run(["logger", "--journald"], input=fields)
    record = {"at": time.time(), "reason": "exited", "detail": lines[3], "invocation": "x", "log": lines}
    with_record = host.read("/var/lib/wbagent/server/history.jsonl") + json.dumps(record) + "\n"
    host.write("/var/lib/wbagent/server/history.jsonl", with_record, mode=0o640, owner="wbagent:wbagent")
    drop_in = f"[Service]\nEnvironment=A=1 \\\n  B={SECRETS['drop-in']}\n"
    host.write("/etc/systemd/system/wbagent-drill.service.d/planted.conf", drop_in)
    host.run(["systemctl", "daemon-reload"])


@pytest.fixture
def planted(hosts: Bed) -> Bed:
    """A serving host on which every secret is somewhere that a bundle looks at."""
    web = hosts.web
    web.write("/etc/wandb.license", SECRETS["licence"] + "\n", mode=0o640, owner="root:wbagent")
    web.write("/etc/credstore/wbagent.server.license", SECRETS["credential"], mode=0o600)
    configure(web, settings(hosts))
    reload(web)
    web.run(["systemctl", "start", UNIT])
    web.run(["systemctl", "start", "wbagent-backup.service"], check=False, timeout=120)
    plant(web)
    return hosts


def bundle(host: Host, path: str) -> tuple[dict[str, bytes], bytes, str]:
    begun = time.monotonic()
    said = host.run(["wbagent", "support-bundle", "--output", path], timeout=240).stdout
    assert time.monotonic() - begun < 200
    assert host.run(["stat", "--format=%a %U", path]).stdout == "600 root\n"
    return *unpacked(host, path), said


def test_no_secret_is_in_it(planted: Bed) -> None:
    web = planted.web
    try:
        files, whole, said = bundle(web, "/root/support.tar.gz")
        secrets = SECRETS | {
            "the database's password": planted.mysql_url.password,
            "the store's key": planted.store.credentials.secret_key,
        }
        found = {name: places(files, whole, secret) for name, secret in secrets.items()}
        assert {name: where for name, where in found.items() if where} == {}
        # The search finds, and the places were looked at.
        harmless = {place.partition(":")[0] for place in places(files, whole, HARMLESS)}
        assert harmless >= {"journal/wandb-local.txt", "journal/wbagent-backup.txt", "wbagent/server-history.json"}
        assert b"B=" not in files["units/files.txt"]
        assert b'GORILLA_SHORT=*** {"GORILLA_SHORT": "***"} u:***@db1' in files["journal/wandb-local.txt"]
        assert [name for name, data in files.items() if SHORT.encode() in data] == []
        for name, data in files.items():
            if name.endswith(".json"):
                json.loads(data)
        checked = {each["area"] for each in json.loads(files["wbagent/checks.json"])["results"]}
        assert {"server", "backup", "alerts"} <= checked
        manifest = json.loads(files["manifest.json"])
        assert set(manifest["files"]) == set(files) - {"manifest.json"}
        assert b"wandb-local.service" in files["units/status.txt"]
        assert f"{len(files)} files" in said
        without_anything(web)
    finally:
        web.run(["rm", "-rf", "/etc/systemd/system/wbagent-drill.service.d", "/etc/credstore/wbagent.server.license"])
        web.run(["systemctl", "daemon-reload"])


def without_anything(web: Host) -> None:
    """A host whose agent and Docker are down and whose configuration is broken has a bundle too, without secrets."""
    broken = web.read("/etc/wbagent.toml").replace("[backup]", "[backup")
    web.write("/etc/wbagent.toml", broken, mode=0o640, owner="root:wbagent")
    web.run(["systemctl", "stop", "wbagent.service", "docker.service", "docker.socket"])
    files, whole, said = bundle(web, "/root/support.tar.zst")
    # Of a broken file everything in quotes is taken for a secret.
    found = {name: places(files, whole, secret) for name, secret in SECRETS.items()}
    assert {name: where for name, where in found.items() if where} == {}
    missing = json.loads(files["manifest.json"])["missing"]
    assert "line" in missing["wbagent/config.json"]
    assert "host/container.txt" in missing
    assert "missing: wbagent/config.json" in said
    assert json.loads(files["wbagent/checks.json"])["results"]
