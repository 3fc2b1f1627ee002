"""What the simulated model says, in English, German and French, and how it tells them apart."""

from __future__ import annotations

import re
import unicodedata

import msgspec


class Phrases(msgspec.Struct, frozen=True, kw_only=True):
    """The sentences of one language."""

    hello: str
    ask: str
    joiner: str
    day: str
    time: str
    length: str
    booked: str
    asked: str
    refused: str
    passed_on: str
    confirmed: str
    cancelled: str
    welcome: str


PHRASES = {
    "en": Phrases(
        hello="Hello!",
        ask="Please tell me {missing}, and I will ask the instructor.",
        joiner="and",
        day="the day of the lesson",
        time="at what time it should begin",
        length="how long it should be",
        booked="I have put you down for {date} at {time} for {minutes} minutes.",
        asked="I have asked the instructor for this lesson. You will hear from me.",
        refused="Sorry, I could not arrange that one. Shall we try another time?",
        passed_on="That is for the instructor, who reads this chat and will write to you here.",
        confirmed="Good news: the instructor has confirmed your lesson. See you on the snow!",
        cancelled="I am sorry: the instructor had to cancel your lesson. Shall we find another?",
        welcome="You are welcome! Write to me whenever you would like a ski lesson.",
    ),
    "de": Phrases(
        hello="Guten Tag!",
        ask="Bitte sagen Sie mir {missing}, dann frage ich an.",
        joiner="und",
        day="den Tag der Lektion",
        time="um welche Zeit sie beginnen soll",
        length="wie lange sie dauern soll",
        booked="Ich habe Sie für {date} um {time} Uhr für {minutes} Minuten eingetragen.",
        asked="Ich habe diese Lektion angefragt. Sie hören von mir.",
        refused="Leider hat das nicht geklappt. Versuchen wir eine andere Zeit?",
        passed_on="Das klärt die Skischule persönlich: Sie bekommen hier eine Antwort.",
        confirmed="Gute Nachricht: Ihre Lektion ist bestätigt. Bis bald auf der Piste!",
        cancelled="Es tut mir leid: Ihre Lektion wurde abgesagt. Suchen wir eine andere Zeit?",
        welcome="Gern geschehen! Schreiben Sie mir, wenn Sie eine Skilektion möchten.",
    ),
    "fr": Phrases(
        hello="Bonjour !",
        ask="Dites-moi {missing}, et je poserai la question.",
        joiner="et",
        day="le jour de la leçon",
        time="à quelle heure elle doit commencer",
        length="combien de temps elle doit durer",
        booked="Je vous ai inscrit pour le {date} à {time} pour {minutes} minutes.",
        asked="J'ai demandé cette leçon. Je vous écris dès que j'ai la réponse.",
        refused="Désolé, cela n'a pas marché. Essayons-nous une autre heure ?",
        passed_on="Cela demande une réponse personnelle : vous la recevrez ici.",
        confirmed="Bonne nouvelle : votre leçon est confirmée. À bientôt sur les pistes !",
        cancelled="Je suis désolé : votre leçon est annulée. Cherchons-nous une autre date ?",
        welcome="Avec plaisir ! Écrivez-moi quand vous voudrez une leçon de ski.",
    ),
}

_COMMON_WORDS = {
    "en": "i the and for at hours hour hello hi please saturday sunday monday tuesday wednesday "
    "thursday friday tomorrow today thanks thank you yes would like lesson is my we how cancel",
    "de": "ich und der das den um uhr fur stunde stunden minuten morgen heute bitte guten hallo "
    "samstag sonntag montag dienstag mittwoch donnerstag freitag danke ja nein wie ist mochte "
    "skikurs lektion kurs einen gruezi wir ein eine zwei dann lieber",
    "fr": "je et le la les un une pour heure heures demain bonjour salut samedi dimanche lundi "
    "mardi mercredi jeudi vendredi merci oui non cours voudrais est vous nous bonsoir lecon "
    "deux aimerais plutot",
}
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON_WORDS.items()}


def fold(text: str) -> str:
    """The text in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def language_of(text: str) -> str | None:
    """`en`, `de` or `fr`, whichever has the most common words in the text; none if it is a tie."""
    words = re.findall(r"[a-z]+", fold(text))
    scores = {language: sum(w in known for w in words) for language, known in _WORDS.items()}
    best = max(scores.values())
    winners = [language for language, score in scores.items() if score == best]
    return winners[0] if len(winners) == 1 else None
