"""The way to MySQL: TLS as the connection string asks, passwords of every kind, and reasons a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.testbed.mysql import MysqlServer
from tests.testbed.mysql_clients import ClientPrograms
from wbagent.config.dsn import MysqlURL
from wbagent.database.clients import find_client
from wbagent.database.connection import connect, rows, session
from wbagent.errors import DatabaseError, RestoreError
from wbagent.restore.load import Load

PASSWORDS = [
    "with spaces and #hash",
    'quote"double',
    "quote'single",
    "back\\slash\\n",
    "\\",
    "tab\tnewline\nreturn\r",
    "пароль密码🔑",
    "ends with space ",
    "'quoted'",
    '"quoted"',
    "[client]",
    "percent%41;semi=colon",
]


def with_options(url: MysqlURL, **options: str) -> MysqlURL:
    named = tuple((key.replace("_", "-"), value) for key, value in options.items())
    return MysqlURL(url.user, url.password, url.host, url.port, url.database, named)


@pytest.fixture(scope="module")
def without_tls() -> Iterator[MysqlServer]:
    with MysqlServer(settings={"tls_version": ""}) as server:
        yield server


@pytest.mark.parametrize("password", PASSWORDS)
def test_password_reaches_the_server_as_it_is(
    mysql: MysqlServer, database: MysqlURL, clients: ClientPrograms, password: str
) -> None:
    mysql.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", database.user, password)
    url = MysqlURL(database.user, password, database.host, database.port, database.database)
    with session(url) as connection:
        assert rows(connection, "SELECT 1") == ((1,),)
    with Load(find_client(str(clients.mysql), "mysql"), url) as load:
        load.write(b"CREATE TABLE made_by_the_client (id INT);\n")
        load.finish()
    assert len(mysql.execute("SHOW TABLES", database=database.database)) == 1


def test_client_commands_in_the_data_are_not_carried_out(
    database: MysqlURL, clients: ClientPrograms, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mark = tmp_path_factory.mktemp("mark") / "made"
    with Load(find_client(str(clients.mysql), "mysql"), database) as load:
        load.write(f"\\! touch {mark}\nsystem touch {mark}\n;".encode())
        with pytest.raises(RestoreError, match="ended with status 1"):
            load.finish()
    assert not mark.exists()


@pytest.mark.parametrize("tls", ["preferred", "skip-verify"])
def test_tls_without_verification(database: MysqlURL, tls: str) -> None:
    with session(with_options(database, tls=tls)) as connection:
        ((_, cipher),) = rows(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    assert cipher


def test_certificate_that_nobody_vouches_for_is_refused(database: MysqlURL) -> None:
    with pytest.raises(DatabaseError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        connect(with_options(database, tls="true"))
    assert "ssl-ca" in caught.value.hint


def test_file_of_an_authority_that_is_missing(database: MysqlURL) -> None:
    with pytest.raises(DatabaseError, match="a file named by ssl-ca"):
        connect(with_options(database, tls="true", ssl_ca="/nowhere/ca.pem"))


@pytest.mark.parametrize("tls", ["true", "skip-verify"])
def test_server_without_tls_gets_no_credentials(without_tls: MysqlServer, tls: str) -> None:
    """The server would log a failed login, had the session come that far."""
    url = with_options(MysqlURL("nobody", "password", without_tls.address, without_tls.port, "mysql"), tls=tls)
    with pytest.raises(DatabaseError, match="TLS"):
        connect(url)


@pytest.mark.skipif(find_spec("cryptography") is not None, reason="cryptography is installed, so this works")
def test_password_check_that_needs_cryptography_is_explained(without_tls: MysqlServer) -> None:
    url = without_tls.create("plain", "plain", "password")
    with pytest.raises(DatabaseError, match="needs TLS or Python's cryptography module") as caught:
        connect(url)
    assert "python3-cryptography" in caught.value.hint


def test_database_that_is_missing_or_not_for_this_account(mysql: MysqlServer, database: MysqlURL) -> None:
    other = MysqlURL(database.user, database.password, database.host, database.port, "not_mine")
    with pytest.raises(DatabaseError, match=r"\(1044\)") as caught:
        connect(other)
    assert "grant" in caught.value.hint
