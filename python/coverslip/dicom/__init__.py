"""Builds DICOM instances from clean metadata and numbers."""
