"""The options that a case of the laws is converted with, behind a plus sign in its name."""

from tests.synth import FORMATS, SynthSlide

OF_OPTIONS = {"sparse": {"sparse": True}, "deflated": {"deflated_frames": True}}
"""What an option chooses, as arguments of a policy."""


def choices_of(slide: SynthSlide, option: str) -> dict[str, object]:
    """Return what a policy has to choose so that a slide is converted as an option says.

    With ``deflated`` nothing is decoded: what cannot be copied fails.
    """
    chosen = slide.choices | OF_OPTIONS.get(option, {})
    return chosen | ({"allow_pixel": False} if option == "deflated" else {})


def words_of(choices: dict[str, object]) -> list[str]:
    """Return the same choices as words of a command."""
    words = []
    for name, value in choices.items():
        switch = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(switch)
        elif value not in (None, False):
            words += [switch, str(value)]
    return words


def of_each_builder(turn: int) -> list[str]:
    """Return one case of each builder, by turns another: where cases and something else do not
    meet in the code, all of the one with some of the other prove the same as all with all.
    """
    cases: dict[object, list[str]] = {}
    for name, build in FORMATS.items():
        cases.setdefault(build.func, []).append(name)
    return [names[turn % len(names)] for names in cases.values()]
