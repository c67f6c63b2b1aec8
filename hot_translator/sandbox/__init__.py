"""Where expressions of a query language run: in processes of their own, with limits that the kernel keeps.

yaql works inside of single calls of C functions (a comparison, a hash, a repetition) that no counter sees, that hold
Python's lock and that no exception ends. So the evaluation is done by worker processes (``worker``), which are forked
from a server that has loaded yaql once, and which are killed when they exceed their CPU time, memory or time. ``pool``
hands out the workers, ``wire`` is the form in which data goes there and back, ``yaql_engine`` is what they run.
"""
