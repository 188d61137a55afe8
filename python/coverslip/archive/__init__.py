"""Many slides: what there is to convert, what became of each, and who does the work."""
