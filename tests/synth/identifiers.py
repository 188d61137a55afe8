"""Invented identifiers that no other text contains by chance."""

import random
from dataclasses import dataclass, field

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass
class Identifiers:
    """Draws identifiers and remembers each, so that a test can look for them all."""

    random: random.Random
    drawn: list[str] = field(default_factory=list)

    def word(self, length: int = 9) -> str:
        return self._remember("".join(self.random.choices(_LETTERS, k=length)))

    def number(self, length: int = 14) -> str:
        """Draw digits: so many that the digits of a UID do not hold them by chance."""
        digits = "".join(self.random.choices("0123456789", k=length - 1))
        return self._remember(str(self.random.randint(1, 9)) + digits)

    def name(self) -> str:
        return f"{self.word().title()}^{self.word().title()}"

    def date(self) -> str:
        day, month = self.random.randint(1, 28), self.random.randint(1, 12)
        return self._remember(f"{month:02}/{day:02}/{self.random.randint(1930, 2024)}")

    def _remember(self, text: str) -> str:
        self.drawn.append(text)
        return text


def of(seed: int | None) -> Identifiers:
    """Return a source of identifiers, random in each run if ``seed`` is ``None``."""
    return Identifiers(random.SystemRandom() if seed is None else random.Random(seed))
