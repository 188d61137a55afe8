"""Why a picture cannot be shown to be clean."""

from coverslip.errors import CoverslipError


class DoubtError(CoverslipError):
    """A picture may still show the label, a bar code or text: it is not written."""
