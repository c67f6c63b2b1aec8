"""Kubernetes: client, leader election, events, informer. Nothing here knows a Stack."""
