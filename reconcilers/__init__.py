"""OpenStack: resource types, observing, planning, executing. No Kubernetes here."""
