"""Ways into OpenStack: credentials, connections, the address guard, threads."""
