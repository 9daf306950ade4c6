"""The command line: a file a command group that parses, calls and shows; decisions are made below."""
