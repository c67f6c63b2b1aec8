"""The operator's process: the manager of its parts, HTTP pages, debugging."""
