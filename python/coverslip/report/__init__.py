"""One page for people about a whole output, made of its certificates."""
