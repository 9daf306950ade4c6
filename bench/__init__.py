"""Measurements of wbagent beside its peers; `./dev bench NAME` runs one."""
