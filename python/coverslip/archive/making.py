"""What decides over a slide's outputs beside the slide, to tell whether they are still right."""

import hmac
import json
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

from coverslip.deid.custody import Custody
from coverslip.deid.identity import key_of
from coverslip.deid.policy import Policy
from coverslip.errors import PolicyError

REVISION = 1
"""Of what is written: raised with a version that mends it, so that what earlier ones wrote is
converted again. Other versions of the package leave what is done alone."""
_SHORT = 5
_OF_A_ROW = b"coverslip row of the metadata"


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a run makes slides."""

    policy: Policy
    custody: Custody
    verify: bool
    salt: bytes = field(repr=False)
    """Of the ledger; without a key it goes into digests of the operator's rows."""

    @cached_property
    def _of_all(self) -> dict[str, object]:
        # Who vouches for a slide lets it pass once; what was done without stays done.
        policy = replace(self.policy, pixels_attested=None)
        key = None if self.custody.key is None else key_of(self.custody.key)
        return {
            "policy": policy.digest(),
            "key": None if key is None else key.key_id,
            "verify": self.verify,
            "vouched": self.policy.pixels_attested is not None,
            "revision": REVISION,
        }

    @cached_property
    def _secret(self) -> bytes:
        key = self.custody.key
        return self.salt if key is None else key_of(key).draw(self.policy)("metadata row", "")

    def of(self, path: Path) -> str:
        """Return what goes into the ledger for a slide: digests, as JSON."""
        return json.dumps({**self._of_all, "metadata": self._row(path)}, separators=(",", ":"))

    def _row(self, path: Path) -> str | None:
        table = self.custody.metadata
        if table is None:
            return None
        try:
            row = table.row_for(path)
        except PolicyError:
            return None  # the conversion will say it
        if row is None:
            return None
        texts = {f.name: getattr(row, f.name) for f in fields(row)}
        known = {name: text.reveal() for name, text in texts.items() if text is not None}
        document = _OF_A_ROW + json.dumps(known, sort_keys=True).encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._secret, document, "sha256").hex()
        # Without a key the salt lies beside it: too short for a guess to be proven right.
        return digest if self.custody.key is not None else digest[:_SHORT]


def is_vouched_for(made_with: str) -> bool:
    """Tell whether somebody vouches for the pixels of what is made."""
    return bool(json.loads(made_with).get("vouched"))


UNVERIFIED = "without verification"
_REASONS = {
    "policy": "with another policy",
    "key": "with another key",
    "metadata": "with other metadata",
    "revision": "by a version with a defect",
}


def difference(before: str, now: str) -> str | None:
    """Return why what was made before will not do now, in words behind "done".

    What is not known of before counts as the same.
    """
    old, new = json.loads(before), json.loads(now)
    for name, reason in _REASONS.items():
        if name in old and old[name] != new[name]:
            return reason
    return UNVERIFIED if new["verify"] and not old.get("verify", True) else None
