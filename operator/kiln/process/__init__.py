"""What lives as long as the process: the manager of its parts, HTTP pages, debugging."""
