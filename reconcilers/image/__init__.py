"""Glance's types."""
