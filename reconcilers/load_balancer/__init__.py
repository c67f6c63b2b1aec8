"""OpenStack Load Balancing (Octavia): load balancers and what is below them, flavors, availability zones, quotas."""
