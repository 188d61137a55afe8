"""Looks at finished files; knows nothing of the writer's tables."""
