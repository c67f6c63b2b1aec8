"""``kubectl stack``: the kubectl plugin.

Commands read the cluster with the rights of whoever runs them. Pure functions make what they print.
"""
