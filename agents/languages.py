"""The languages in which the platform speaks to visitors, in the widget and elsewhere."""

LANGUAGES = {
    "ar": "العربية", "de": "Deutsch", "en": "English", "es": "Español", "fr": "Français", "he": "עברית",
    "it": "Italiano", "ja": "日本語", "nl": "Nederlands", "pl": "Polski", "pt": "Português", "tr": "Türkçe",
    "zh": "中文",
}  # fmt: skip
RIGHT_TO_LEFT = ("ar", "he")


def isolated(text: str) -> str:
    """A name, or an hour, in a sentence that may run the other way: it keeps its own direction and moves nothing."""
    return f"\u2068{text}\u2069"


def django_language(code: str) -> str:
    """As Django names its own translations."""
    return "zh-hans" if code == "zh" else code


def direction_of(code: str) -> str:
    """As HTML says it."""
    return "rtl" if code in RIGHT_TO_LEFT else "ltr"
