"""What `wbagent database tune` does: look, show the table, ask, set what can be set, write the option file for the rest."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import click

from wbagent.cli.database_accounts import confirm, tell
from wbagent.config.dsn import MysqlURL
from wbagent.config.rewrite import write_whole
from wbagent.database.administrator import administrator, carry_out, read_settings, where
from wbagent.database.connection import Connection
from wbagent.database.facts import show_version
from wbagent.database.local import is_local
from wbagent.database.option_files import Program, drop_in, running_program, start_arguments
from wbagent.database.tuning import Settings, Tuning, not_taken, option_file, option_lines, plan_tuning
from wbagent.database.wanted import WANTED, Standing
from wbagent.errors import AccessError, DatabaseError, UsageError
