"""What `wbagent check` looks at: an area a module or package, each check a small function that returns findings."""
