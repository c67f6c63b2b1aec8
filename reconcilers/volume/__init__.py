"""Cinder: volumes, and their attachment to servers."""
