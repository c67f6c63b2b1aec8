"""The engine: plans and carries out what a Stack needs. Knows no service and no type."""
