"""Heat's own types that need no cloud: values, random strings, configurations, and those for tests."""
