"""Searches pictures for bar codes and text, and hides the label of an overview."""
