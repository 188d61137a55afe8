"""What may leave a slide: policy, pseudonyms, scrubbing."""
