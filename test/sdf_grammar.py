"""Checks SDF documents against the descriptions of the format that libsdformat itself reads (package sdformat-sdf)."""

from pathlib import Path
from typing import Dict, Iterator, List, Optional
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

COUNTS = {"0": (0, 1), "1": (1, 1), "*": (0, None), "+": (1, None), "-1": (0, 0)}
NUMBERS = {"vector3": 3, "pose": 6, "color": 4, "vector2d": 2, "vector2i": 2, "quaternion": 4}


def find_descriptions(version: str) -> Optional[Path]:
    """Folder with the descriptions of a version of the format; None where they are not installed."""
    found = sorted(Path("/usr/share").glob(f"sdformat*/{version}/root.sdf"))
    return found[-1].parent if found else None


class Grammar:
    """One version of the format.

    Args:
        folder: with its descriptions.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._files: Dict[str, Element] = {}

    def errors(self, document: str) -> List[str]:
        """What is wrong with a document, one line each."""
        root = ElementTree.fromstring(document)
        return list(self._check(root, self._file("root.sdf"), root.tag))

    def _file(self, name: str) -> Element:
        if name not in self._files:
            self._files[name] = ElementTree.parse(self._folder / name).getroot()
        return self._files[name]

    def _children(self, rule: Element) -> Dict[str, tuple]:
        """Rule and how often, of each element that may stand inside."""
        found = {}
        for entry in rule.findall("include"):
            included = self._file(entry.get("filename"))
            found[included.get("name")] = (included, entry.get("required"))
        for entry in rule.findall("element"):
            if entry.get("copy_data") is None and entry.get("name"):
                found[entry.get("name")] = (entry, entry.get("required"))
        return found

    def _check(self, element: Element, rule: Element, where: str) -> Iterator[str]:
        attributes = {entry.get("name"): entry.get("required") == "1" for entry in rule.findall("attribute")}
        yield from (f"{where}: unknown attribute {name}" for name in element.attrib if name not in attributes)
        yield from (f"{where}: no {name}" for name, must in attributes.items() if must and name not in element.attrib)
        if any(entry.get("copy_data") for entry in rule.findall("element")):
            return  # such as plugins: whatever they like
        yield from _value_errors(element, rule.get("type"), where)
        known = self._children(rule)
        for child in element:
            if child.tag not in known:
                yield f"{where}: unknown element {child.tag}"
            else:
                yield from self._check(child, known[child.tag][0], f"{where}/{child.get('name', child.tag)}")
        for name, (_, required) in known.items():
            least, most = COUNTS[required]
            count = len(element.findall(name))
            if count < least or (most is not None and count > most):
                yield f"{where}: {count} times {name}"


def _value_errors(element: Element, kind: Optional[str], where: str) -> Iterator[str]:
    text = (element.text or "").strip()
    if kind in ("double", "int", "unsigned int") or kind in NUMBERS:
        try:
            count = len([float(word) for word in text.split()])
        except ValueError:
            yield f"{where}: '{text}' is no {kind}"
            return
        if count != NUMBERS.get(kind, 1):
            yield f"{where}: '{text}' is no {kind}"
    elif kind == "bool" and text not in ("true", "false", "0", "1"):
        yield f"{where}: '{text}' is no bool"
