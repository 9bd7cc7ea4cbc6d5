"""Sentences and words that are stored, compared or raised in English, said in the reader's language.

The pure core, the books and the audit trail speak English: they know no reader. Their sentences are collected from the
source (`manage.py collect_sentences`) into the catalogue's list; on a page each is found again by its pattern, with the
values that were filled in, and said in the language of the page. What is not in the list is shown as it is.
"""

import re
from functools import lru_cache

from django.utils.translation import get_language, gettext, pgettext

from avigrid.common.spoken_list import SENTENCES, WORDS

_HOLE = re.compile(r"\{\d\}")
_NEXT = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")
_TOKEN = re.compile(r"(?<![\w.-])[A-Za-z][A-Za-z_]*(?![\w-])")


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The most literal first, so that a general sentence never swallows a special one."""
    with_holes = [text for text in SENTENCES if _HOLE.search(text)]
    with_holes.sort(key=lambda text: -len(_HOLE.sub("", text)))
    return [(re.compile("(.*)".join(map(re.escape, _HOLE.split(text))), re.DOTALL), text) for text in with_holes]


def said(text: str) -> str:
    """`text` in the active language."""
    language = get_language() or "en"
    if not text or language.startswith("en"):
        return text
    return _said(text, language)


@lru_cache(maxsize=4096)
def _said(text: str, language: str) -> str:
    if text in SENTENCES or text in WORDS:
        return gettext(text)
    if text.isupper() and text.lower().replace("_", " ") in WORDS:
        return gettext(text.lower().replace("_", " ")).upper()
    sentences = _NEXT.split(text)
    if len(sentences) > 1:
        answers = [_said(sentence, language) for sentence in sentences]
        if all(answer != sentence for answer, sentence in zip(answers, sentences, strict=True)):
            return " ".join(answers)
    for pattern, template in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return gettext(template).format(*(_said(value, language) for value in found.groups()))
    appended = f"; {text}"
    if appended in SENTENCES:
        return gettext(appended).removeprefix("; ")
    first, joint, rest = text.partition("; ")
    if joint:
        return f"{_said(first, language)}; {_said(rest, language)}"
    return _of_codes(text)


def _of_codes(text: str) -> str:
    """ "entry 1.1: intent → submitting": nothing but known codes, numbers and signs is said code by code."""
    tokens = _TOKEN.findall(text)
    known = [token.replace("_", " ") in WORDS for token in tokens]
    if not any(known) or not all(word or token.isupper() for word, token in zip(known, tokens, strict=True)):
        return text
    return _TOKEN.sub(lambda found: _word(found.group()), text)


def _word(token: str) -> str:
    code = token.replace("_", " ")
    return gettext(code) if code in WORDS else token


def worded(code: object) -> str:
    """A stored code as a person says it: `max_total_risk_r` -> "risk in all, R". English has names of its own too."""
    words = str(code or "").replace("_", " ")
    return gettext(words) if words in WORDS else said(words)


def unit_name(unit: str) -> str:
    """Behind a number."""
    names = {
        "plans": pgettext("unit", "plans"),
        "orders": pgettext("unit", "orders"),
        "stops": pgettext("unit", "stops"),
        "ms": pgettext("unit", "ms"),
        "s": pgettext("unit", "s"),
        "min": pgettext("unit", "min"),
        "h": pgettext("unit", "h"),
        "d": pgettext("unit", "d"),
    }
    return names.get(unit, unit)
