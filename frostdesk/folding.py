"""Letters made alike, so that words are found however they are written."""

import unicodedata


def fold(text: str) -> str:
    """The text in lower case, without accents, digits and apostrophes plain."""
    straight = text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    decomposed = unicodedata.normalize("NFKD", straight)
    return "".join(c for c in decomposed if not unicodedata.combining(c))
