"""The levels of a slide, written one after the other however their frames come to be."""

from collections.abc import Callable

from coverslip.commit import Staging
from coverslip.concatenation import Written
from coverslip.errors import UnlikeTilesError, at_level
from coverslip.frames import PlannedFrames, most_output_bytes, require_output, stored_bytes
from coverslip.instances import (
    OnProgress,
    PlannedInstance,
    make_frames,
    plan_level,
)
from coverslip.model import RouteKind
from coverslip.routes import Route
from coverslip.slide import OpenedSlide


class Levels:
    """What all levels together may take, and how each becomes an instance.

    Levels that are copied or stitched are planned when this is made: one that cannot be is found
    before a byte is written, but for one of whose tiles or intervals only few cannot.

    Parameters
    ----------
    slide, routes
        The slide, and how each of its levels becomes frames.
    on_progress
        Told how far it is.
    prove
        Whether frames that are made are compared with the slide.

    Raises
    ------
    LimitError
        If all frames would take too much for what the slide has.
    """

    def __init__(
        self,
        slide: OpenedSlide,
        routes: tuple[Route, ...],
        on_progress: OnProgress | None,
        *,
        prove: bool,
    ) -> None:
        self._slide, self._routes, self._prove = slide, routes, prove
        self._on_progress = on_progress
        self._plans = {
            number: plan_level(slide, number, route, on_progress, is_sampled=True)
            for number, route in enumerate(routes)
            if route.kind in (RouteKind.COPY, RouteKind.STITCH)
        }
        self.frame_bytes = sum(frames.plan.frame_bytes for frames in self._plans.values())
        """Of all frames that are planned."""
        made = [level for number, level in enumerate(slide.levels) if number not in self._plans]
        require_output(slide, self.frame_bytes + sum(stored_bytes(level) for level in made))

    def written(
        self,
        number: int,
        stage: Staging,
        instance_of: Callable[[int, Route, PlannedFrames], PlannedInstance],
        write: Callable[[PlannedInstance], list[Written]],
    ) -> tuple[PlannedInstance, list[Written]]:
        """Write one level and return it and its files; frames not in the slide are made before."""
        route, frames = self._routes[number], self._plans.get(number)
        if frames is None:
            frames = self._made(number, stage)
            self._count(frames.plan.frame_bytes)
        item = instance_of(number, route, frames)
        try:
            written = write(item)
        except UnlikeTilesError:
            frames = plan_level(self._slide, number, route, self._on_progress, is_sampled=False)
            self._count(frames.plan.frame_bytes - item.plan.frame_bytes)
            item = instance_of(number, route, frames)
            written = write(item)
        if frames.spool is not None:
            frames.spool.unlink()
        return item, written

    def _made(self, number: int, stage: Staging) -> PlannedFrames:
        with at_level(number):
            stage.require_room(stored_bytes(self._slide.levels[number]))
        return make_frames(
            self._slide,
            number,
            self._routes[number],
            stage.spool(number),
            self._on_progress,
            most=most_output_bytes(self._slide) - self.frame_bytes,
            prove=self._prove,
        )

    def _count(self, byte_count: int) -> None:
        self.frame_bytes += byte_count
        require_output(self._slide, self.frame_bytes)
