"""The demonstration slide: a realistic Aperio SVS, of any size, with invented identifiers."""

from coverslip.sample.svs import SampleReport, write_sample

__all__ = ["SampleReport", "write_sample"]
