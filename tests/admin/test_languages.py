"""The admin in English, German and French: every text is marked, every catalogue complete."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client, override_settings
from django.utils import translation

from tests.admin.test_pages import get
from tests.admin.urls import list_url
from tests.project import REPOSITORY
from zanith_django.ledger.ledger import Ledger

PACKAGE = REPOSITORY / "zanith_django"
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.*"))
LANGUAGES = ("de", "fr")

BLOCK = re.compile(
    r"{% blocktranslate.*?%}(.*?)(?:{% plural %}.*?)?{% endblocktranslate %}", re.DOTALL
)
MARKED = re.compile(r"""(?:{% translate |=_\()(["'])(.*?)\1""")
CODE = re.compile(r"<code>manage\.py.*?</code>|{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
ATTRIBUTE = re.compile(r'(?:aria-label|title|alt|placeholder)="([^"]*)"')
TAG = re.compile(r"<[^>]*>", re.DOTALL)
# Names, units, and what is the same in every language.
SAME = {"SVG", "Mermaid", "Zanith", "SQL", "quot", "amp", "q", "p"}


def messages() -> set[str]:
    """Every text that templates and modules mark for translation."""
    found = set()
    for path in TEMPLATES:
        text = path.read_text()
        found |= {match[2] for match in MARKED.finditer(text)}
        for match in BLOCK.finditer(text):
            found.add(re.sub(r"{{ *(\w+) *}}", r"%(\1)s", match[1]))
    for path in PACKAGE.rglob("*.py"):
        found |= set(_called(path))
    return found


def _called(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            text = node.args[0]
            if node.func.id in ("_", "gettext") and isinstance(text, ast.Constant):
                yield str(text.value)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_of_a_template_is_unmarked(path: Path) -> None:
    text = CODE.sub(" ", BLOCK.sub(" ", path.read_text()))
    shown = [*ATTRIBUTE.findall(text), TAG.sub(" ", text)]
    words = {word for part in shown for word in re.findall(r"[^\W\d_]{2,}", part)}
    assert words - SAME == set()


# Where Django's classes and ours take a text that people read.
SHOWN = {"description", "title", "verbose_name", "verbose_name_plural", "search_help_text", "words"}
PLACES = {"render": 2, "message_user": 1, "Choices": 0}


def _unmarked(path: Path) -> Iterator[str]:
    """Texts of a module that people read and that no call marks."""
    for node in ast.walk(ast.parse(path.read_text())):
        found: list[ast.expr] = []
        if isinstance(node, ast.keyword) and node.arg in SHOWN:
            found = [node.value]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = {target.id for target in targets if isinstance(target, ast.Name)}
            found = [node.value] if named & SHOWN else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            place = PLACES.get(node.func.attr, len(node.args))
            found = node.args[place : place + 1]
        for text in found:
            plain = isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value
            if plain or isinstance(text, ast.JoinedStr):
                yield ast.unparse(text)


@pytest.mark.parametrize("path", [*sorted((PACKAGE / "admin").glob("*.py")), PACKAGE / "models.py"])
def test_no_text_of_a_module_is_unmarked(path: Path) -> None:
    assert list(_unmarked(path)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_text(language: str) -> None:
    place = PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo"
    with place.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    known = catalogue._catalog  # type: ignore[attr-defined]  # there is no other way to list it
    texts = {key[0] if isinstance(key, tuple) else key.rpartition("\x04")[2] for key in known}
    assert messages() - texts == set()
    assert {text for text in texts if text} - messages() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_keeps_the_places_of_its_values(language: str) -> None:
    with translation.override(language):
        for text in messages():
            translated = translation.gettext(text)
            names = re.findall(r"%\(\w+\)[sd]", text)
            assert sorted(re.findall(r"%\(\w+\)[sd]", translated)) == sorted(names), text


def test_a_page_is_in_the_language_of_its_reader(history: Ledger, superuser: Client) -> None:
    with override_settings(LANGUAGE_CODE="de"):
        translation.activate("de")
        page = get(superuser, list_url("migrationstep"))
    translation.activate("en")
    assert "fehlgeschlagen" in page
    assert "Als CSV exportieren" in page
