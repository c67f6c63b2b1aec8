"""Keystone's types: projects, users, groups, roles, domains, and the service catalogue."""
