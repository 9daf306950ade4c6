"""Where the databases of an embedded server are: what the image runs itself when it is given none."""

from __future__ import annotations

from typing import Final

from wbagent.config.dsn import MysqlURL

# Sockets of wandb-local-*.socket; behind each connection stands a process in the container's network, or with Docker.
MYSQL_SOCKET: Final = "/run/wbagent/mysql.sock"
FILES_SOCKET: Final = "/run/wbagent/files.sock"

# The image's own account, the same in every installation; the database listens within the container only.
# TLS stays "preferred": to mysqld this is no socket but TCP, over which it takes a new login's password encrypted only.
# MySQL's programs send it in the clear to any socket; PyMySQL always comes first, and then mysqld knows the account.
MYSQL: Final = MysqlURL("wandb_local", "wandb_local", "localhost", 3306, "wandb_local", (("socket", MYSQL_SOCKET),))
