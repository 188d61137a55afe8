"""Parses XML of a slide, which anybody may have written: no DTD, no entities, and bounded.

Errors say where the text is wrong and never show any of it.
"""

from xml.etree.ElementTree import Comment, Element, TreeBuilder
from xml.parsers import expat

from coverslip.errors import LimitError, SourceError
from coverslip.limits import LIMITS
from coverslip.model import SourceText


def parse(text: SourceText) -> Element:
    """Return the root element; names have their namespace in front of them, in braces.

    Comments are kept among the elements: they too are text of the slide.

    Raises
    ------
    SourceError
        If the text is not well-formed, or has a document type declaration, which no slide needs.
    LimitError
        If it is longer, deeper or has more parts than a slide's may.
    """
    revealed = text.reveal().strip("\0 \t\r\n\ufeff")
    if len(revealed) > LIMITS.xml_characters:
        raise LimitError(
            f"an XML text has {len(revealed)} characters, more than the limit "
            f"xml_characters = {LIMITS.xml_characters}"
        )
    # The encoding that the text declares was that of its bytes, which are decoded already.
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator="}")
    parser.buffer_text = True
    tree = _Tree(parser)
    failed: Exception
    try:
        parser.Parse(revealed, True)  # noqa: FBT003 (expat takes it by position only)
        return tree.close()
    except expat.ExpatError as error:
        failed = SourceError(f"an XML text is not well-formed at line {error.lineno}")
    except UnicodeEncodeError:
        failed = SourceError("an XML text holds half a character")
    raise failed


class _Tree:
    """Builds elements out of what expat finds, and stops at what no slide needs."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self._builder = TreeBuilder(insert_comments=True)
        self._parts = self._depth = 0
        self._outside: list[str] = []
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.CommentHandler = self._comment
        parser.ProcessingInstructionHandler = lambda name, text: self._comment(f"{name} {text}")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._parts += 1 + len(attributes)
        if self._depth > LIMITS.xml_depth:
            raise LimitError(f"an XML text is deeper than the limit xml_depth = {LIMITS.xml_depth}")
        if self._parts > LIMITS.xml_parts:
            raise LimitError(
                "an XML text has more elements and attributes than the limit "
                f"xml_parts = {LIMITS.xml_parts}"
            )
        if "}" in "".join(attributes):
            attributes = {_braced(key): value for key, value in attributes.items()}
        self._builder.start(_braced(name), attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._builder.end(_braced(name))

    def _comment(self, text: str) -> None:
        if self._depth:
            self._builder.comment(text)
        else:
            self._outside.append(text)

    def close(self) -> Element:
        """Return the root, with the comments around it as its last children."""
        root: Element = self._builder.close()
        root.extend(Comment(text) for text in self._outside)
        return root


def _braced(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def _refuse(*_: object) -> None:
    raise SourceError("an XML text has a document type declaration")
