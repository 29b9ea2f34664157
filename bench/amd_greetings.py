"""What callees say in the corpus of `amd_corpus`: written here, as people and their machines answer."""

from __future__ import annotations

from typing import Final

Spoken = tuple[str, str]
"""An espeak-ng language, and a text in it."""

HUMAN: Final[tuple[Spoken, ...]] = (
    ("en-us", "Hello?"),
    ("en-us", "Yeah?"),
    ("en-us", "Hi, this is Karen."),
    ("en-us", "Hello, who's calling please?"),
    ("en-us", "John speaking."),
    ("en-us", "Hey, what's up?"),
    ("en-us", "Hello, hello?"),
    ("en-us", "Front desk, this is Mike."),
    ("en-gb", "Hello?"),
    ("en-gb", "Yes, Smith here."),
    ("en-gb", "Good morning, Miller speaking."),
    ("en-gb", "Peter Jones."),
    ("en-gb", "Hi. Who's that?"),
    ("en-gb", "Good afternoon, Baker and Sons."),
    ("en-gb-scotland", "Aye, hello?"),
    ("en-gb-scotland", "Speaking."),
    ("de", "Ja, hallo?"),
    ("de", "Müller."),
    ("de", "Schmidt, guten Tag."),
    ("de", "Ja bitte?"),
    ("de", "Hallo, wer ist da?"),
    ("fr", "Allô ?"),
    ("fr", "Oui, allô ?"),
    ("fr", "Bonjour, Dupont à l'appareil."),
    ("fr", "Allô, c'est qui ?"),
    ("es", "¿Diga?"),
    ("es", "Sí, dígame."),
    ("es", "Hola, ¿quién es?"),
    ("it", "Pronto?"),
    ("it", "Sì, pronto, chi parla?"),
    ("pt-br", "Alô?"),
    ("pt-br", "Oi, quem fala?"),
    ("nl", "Met Jansen."),
    ("nl", "Hallo, met Anna de Vries."),
    ("hi", "हैलो?"),
    ("hi", "हाँ जी, बोलिए।"),
    ("pl", "Halo, słucham?"),
    ("sv", "Hej, det är Anna."),
)
"""A person answers, within two seconds or so, and waits."""

RECEPTION: Final[tuple[Spoken, ...]] = (
    (
        "en-us",
        "Good morning, thank you for calling Acme Plumbing, this is Julia, how can I help you?",
    ),
    ("en-gb", "Good afternoon, you're through to accounts, Daniel speaking, who's calling please?"),
    ("en-us", "Riverside dental practice, Amy speaking, may I put you on hold for a moment?"),
    ("de", "Guten Tag, Autohaus Becker in Kassel, mein Name ist Weber, was kann ich für Sie tun?"),
    ("fr", "Cabinet du docteur Martin, bonjour, Sophie à l'appareil, que puis-je pour vous ?"),
    ("es", "Buenos días, taller Hermanos García, le atiende Lucía, ¿en qué puedo ayudarle?"),
)
"""A person answers at such length that the cadence is a machine's: counted apart."""

MACHINE: Final[tuple[Spoken, ...]] = (
    (
        "en-us",
        "Hi, you've reached Karen. I can't come to the phone right now. Please leave a message.",
    ),
    ("en-us", "Your call has been forwarded to an automated voice messaging system."),
    (
        "en-us",
        "The person you are trying to reach is not available. At the tone, please record your message.",
    ),
    ("en-us", "Hello. You have reached the voice mailbox of five five five, zero one zero zero."),
    ("en-us", "We're sorry, the wireless customer you have dialed is not available right now."),
    ("en-us", "Hey, it's Mike, leave a message and I'll get back to you."),
    ("en-us", "Please leave your message for four one five, five five five, zero one seven three."),
    ("en-us", "Thank you for calling. Our office is currently closed. Our hours are nine to five."),
    ("en-us", "Hi, this is Dave and Sue. We're not home. You know what to do at the beep."),
    ("en-gb", "Welcome to the messaging service. The person you called can't take your call."),
    (
        "en-gb",
        "Hello, this is the answering machine of the Smith family. Please speak after the tone.",
    ),
    (
        "en-gb",
        "I'm sorry, but the person you've called is not available. Please leave your message after the tone.",
    ),
    (
        "en-gb",
        "Sorry we missed your call. Please leave your name and number, and we will call you back.",
    ),
    ("en-gb", "You're through to Anna's phone. I'm probably in a meeting, so leave me a message."),
    (
        "en-gb-scotland",
        "Hello there, we can't get to the phone just now, so leave your name and number.",
    ),
    (
        "en-gb-scotland",
        "The mobile phone you have called may be switched off. Please try again later.",
    ),
    ("de", "Guten Tag, hier ist der Anschluss von Familie Weber. Wir sind zurzeit nicht zu Hause."),
    ("de", "Der gewünschte Gesprächspartner ist vorübergehend nicht erreichbar."),
    (
        "de",
        "Hallo, hier ist die Mailbox von Thomas. Bitte hinterlassen Sie eine Nachricht nach dem Ton.",
    ),
    (
        "de",
        "Sie sind verbunden mit der Praxis Doktor Braun. Unsere Sprechzeiten sind von acht bis zwölf.",
    ),
    ("fr", "Bonjour, vous êtes bien sur la messagerie de Sophie. Laissez un message après le bip."),
    ("fr", "Votre correspondant n'est pas disponible pour le moment. Veuillez rappeler plus tard."),
    (
        "fr",
        "Bonjour, nous sommes absents pour le moment, merci de nous laisser votre nom et votre numéro.",
    ),
    ("es", "Ha llamado al buzón de voz de Carlos. Por favor, deje su mensaje después de la señal."),
    ("es", "El teléfono al que llama está apagado o fuera de cobertura en este momento."),
    ("es", "Hola, ahora no puedo atenderte. Déjame un mensaje y te llamaré en cuanto pueda."),
    ("it", "Risponde la segreteria telefonica. Lasciate un messaggio dopo il segnale acustico."),
    ("it", "Il cliente da lei chiamato non è al momento raggiungibile."),
    ("pt-br", "Você ligou para a caixa postal. Deixe a sua mensagem após o sinal."),
    ("pt-br", "O número chamado está desligado ou fora da área de cobertura."),
    ("nl", "U bent verbonden met de voicemail van Jansen. Spreek een bericht in na de piep."),
    ("nl", "De persoon die u belt is op dit moment niet bereikbaar."),
    ("hi", "आप जिस व्यक्ति को कॉल कर रहे हैं, वह अभी उपलब्ध नहीं है। कृपया बाद में प्रयास करें।"),
    ("hi", "नमस्ते, कृपया बीप के बाद अपना संदेश छोड़ें।"),
    ("pl", "Tu poczta głosowa. Proszę zostawić wiadomość po sygnale."),
    ("sv", "Hej, du har kommit till Annas telefonsvarare. Lämna ett meddelande efter pipet."),
)
"""A machine answers, and mostly beeps at the end."""
