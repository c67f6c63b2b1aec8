"""OpenStack Networking (Neutron): networks, subnets, ports, routers, floating IPs, security groups."""
