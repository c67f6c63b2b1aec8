"""The commands that need neither a cloud nor a cluster: validate, render, graph, pack."""
