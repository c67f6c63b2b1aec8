"""Kiln, the operator: Kubernetes on one side, the reconcilers on the other."""
