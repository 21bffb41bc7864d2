"""Messages that ask nothing of the documents: greetings, thanks, and what this is. Pure.

Strict: the whole message must be small talk. "Hello, when was it signed?" is a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from rag.words import fold

__all__ = ["Smalltalk", "reply", "smalltalk"]

Smalltalk = Literal["greeting", "thanks", "goodbye", "help"]

# A line or two of phrases for each language, English first; folded before they are compared.
_PHRASES: dict[Smalltalk, str] = {
    "greeting": r"""
        hi+|hey+|hello|hello there|hi there|hey there|howdy|greetings|welcome|yo
        good (?:morning|afternoon|evening|day)
        how are you(?: doing)?(?: today)?|how do you do|how is it going|hows it going
        nice to meet you|whats up
        привіт|вітаю|доброго (?:дня|ранку|вечора)|добрий (?:день|вечір|ранок)|здрастуйте|як справи
        hallo|guten (?:tag|morgen|abend)|gruß gott|gruss gott|gruezi|moin|servus
        wie geht es (?:dir|ihnen)|wie gehts
        bonjour|bonsoir|salut|coucou|comment (?:ca va|allez-vous|vas-tu)|ca va
        hola|buenos dias|buenas (?:tardes|noches)|buenas|que tal|como (?:estas|esta)""",
    "thanks": r"""
        thanks|thank you|thankyou|thx|ty|cheers|much appreciated|i appreciate it|many thanks
        thanks a (?:lot|bunch|million)
        (?:thanks|thank you) (?:so|very) much|thank you kindly|thanks again|great|perfect|awesome
        excellent|got it|ok|okay
        (?:thanks|thank you) for (?:your|the|all your) (?:help|answers?|time|information|info)
        that helps|very helpful
        дякую|дуже дякую|щиро дякую|спасибі|велике дякую|дякую за (?:допомогу|відповідь)
        danke|danke schon|danke sehr|vielen dank|herzlichen dank|besten dank
        danke fur (?:die|deine|ihre) hilfe
        merci|merci beaucoup|merci bien|merci pour (?:votre|ton) aide|gracias|muchas gracias
        mil gracias|gracias por (?:tu|su) ayuda""",
    "goodbye": r"""
        bye|bye bye|goodbye|good bye|see you|see you (?:later|soon|tomorrow)|see ya|farewell
        good night|have a (?:nice|good|great) (?:day|one|evening|weekend)
        take care|thats all|that is all|до побачення|бувай(?:те)?|бувай|бывай|на все добре
        до зустрічі|гарного дня|на добраніч
        tschuss|tschuess|auf wiedersehen|bis bald|bis spater|schonen tag noch|gute nacht
        au revoir|a bientot|a plus tard|bonne (?:journee|soiree|nuit)|adieu|adios
        hasta (?:luego|pronto|manana)|chao|que tengas? un buen dia""",
    "help": r"""
        help|help me|i need help|can you help(?: me)?|could you help(?: me)?
        how can you help(?: me)?|what can you (?:do|help(?: me)? with|tell me|answer)(?: for me)?
        what do you (?:do|know|know about)|who are you|what are you|what is this
        what is your name|whats your name
        are you (?:a )?(?:human|bot|robot|person|real person)
        are you (?:real|ai|an ai|chatgpt)
        how does (?:this|it) work|how do you work
        how (?:do|can|should) i (?:use (?:this|you|it)|start|get started|ask(?: you)?(?: a)? questions?)
        what (?:can|should|could) i ask(?: you)?(?: about)?
        (?:what|which) (?:documents|files|sources|data|topics) do you (?:have|know|hold|cover)
        (?:what|which) (?:documents|files|sources|data) are (?:there|here|available|loaded|indexed)
        (?:what|which) (?:documents|files|sources|data|information|topics) can you (?:search|read|see)
        what(?: is|s) in (?:this|the|your) (?:collection|documents|library)
        how many (?:documents|files|sources) (?:do you have|are there)
        (?:list|show)(?: me)?(?: all)?(?: the| your)? (?:documents|files|sources)
        instructions
        commands|introduce yourself|tell me about yourself
        допоможи|допоможіть|допомога|що ти (?:вмієш|можеш|знаєш)|що ви (?:вмієте|можете|знаєте)
        хто ти(?: такий)?|хто ви|як це працює
        які документи (?:у тебе|у вас|ти|ви)(?: є| маєш| маєте)?
        hilfe|wer bist du|wer sind sie|was kannst du(?: tun)?|was konnen sie(?: tun)?
        wie funktioniert (?:das|es)|welche dokumente (?:hast du|haben sie|gibt es)
        aide|aidez-moi|aide-moi|qui es-tu|qui etes-vous|que (?:peux-tu|pouvez-vous)(?: faire)?
        qu'?est-ce que (?:tu peux|vous pouvez) faire|comment (?:ca|cela) (?:marche|fonctionne)
        quels documents (?:as-tu|avez-vous)
        ayuda|ayudame|quien eres|que puedes hacer|que sabes hacer|como funciona(?: esto)?
        que documentos (?:tienes|hay)""",
}  # fmt: skip
_FILLER = (
    r"(?:please|there|everyone|all|again|now|for now|then|friend|so much|a lot|very much|"
    r"bitte|por favor|s'?il (?:te|vous) plait|будь ласка)"
)


def _pattern(phrases: str) -> re.Pattern[str]:
    options = "|".join(fold(line).strip() for line in phrases.strip().splitlines())
    return re.compile(rf"(?:{options})(?: {_FILLER})*")


_KINDS: tuple[tuple[Smalltalk, re.Pattern[str]], ...] = tuple(
    (name, _pattern(_PHRASES[name])) for name in ("help", "goodbye", "thanks", "greeting")
)
_LONGEST = 120


def smalltalk(text: str) -> Smalltalk | None:
    """Which small talk a message is; None as soon as any part of it is something else.

    Of several kinds in one message ("Thanks, bye!") the first of help, goodbye, thanks and greeting
    counts.
    """
    if len(text) > _LONGEST:
        return None
    said = re.sub(r"[\"“”«»*_¿¡:;()'’`]+", "", fold(text))
    clauses = [" ".join(part.split()) for part in re.split(r"[,.!?…\n]+|\s[-–—]+\s", said)]
    found = set()
    for clause in filter(None, (re.sub(r"[^\w\s-]+", "", clause).strip() for clause in clauses)):
        clause = re.sub(r"^(?:and|ok|okay|oh|well|so|please) (?=.)", "", clause)
        match = next((name for name, pattern in _KINDS if pattern.fullmatch(clause)), None)
        if match is None:
            return None
        found.add(match)
    return next((name for name, _ in _KINDS if name in found), None)


def reply(kind: Smalltalk, collection: str, documents: int, titles: Sequence[str]) -> str:
    """One or two plain sentences: what the collection holds, and an invitation to ask."""
    if kind == "thanks":
        return "You're welcome. Ask another question whenever you like."
    if kind == "goodbye":
        return "Goodbye. The documents will be here when you have another question."
    if not documents:
        held = f"The collection “{_plain(collection)}” holds no documents yet"
        return (
            f"{'Hello. ' if kind == 'greeting' else ''}{held}; add some, and ask about them here."
        )
    shown = [f"“{_plain(title)}”" for title in titles if _plain(title)][:3]
    named = f", {'such as ' if documents > len(shown) else ''}{_listed(shown)}" if shown else ""
    number = "1 document" if documents == 1 else f"{documents:,} documents"
    held = f"the collection “{_plain(collection)}”, which holds {number}{named}"
    if kind == "greeting":
        return f"Hello. This program answers from {held}. What would you like to know?"
    return (
        f"This program answers questions from {held}, and cites the passage behind every sentence. "
        "Ask in your own words, for example when something happened or who decided it."
    )


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _plain(text: str) -> str:
    """A name on one line, without what Markdown or HTML would read as markup, and not overlong."""
    kept = " ".join(re.sub(r"[*_`<>\[\]#|\\“”]+", " ", text).split())
    return kept if len(kept) <= 80 else f"{kept[:79].rstrip()}…"
