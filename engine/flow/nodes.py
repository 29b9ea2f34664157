"""The nodes of a flow's graph, as tagged structs. Their wire form is CONTRACT.md's "Flow definition".

A node's followers are names of nodes; where one is None, or not given, the call is hung up there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

NAME_LENGTH_MAX: Final = 64
"""Characters of a node's or a variable's name."""
TEXT_LENGTH_MAX: Final = 2_000
"""Characters of one text that is spoken, before its variables are filled in."""
BRANCHES_MAX: Final = 100
"""Ways that lead on from one node by an answer or a value."""
DIGITS_MAX: Final = 32
"""Keys of one answer."""

AGENT: Final = "agent"
"""Whom `transfer` may go to beside numbers: one of the flow's agents."""

Name = Annotated[
    str, Meta(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")
]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX)]


class NodeStruct(Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """What all nodes have in common: a field that is not known is a mistake, never ignored."""


class Prompt(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be heard: either a recording, or a text that is spoken."""

    play: str | None = None
    """A prompt's id."""
    say: Text | None = None
    """A text with `{{variables}}`."""
    voice: str | None = None
    """Of `say`; None is the installation's own."""


class Play(NodeStruct, frozen=True, tag="play"):
    """Plays a prompt to its end; either `play` or `say` is given."""

    play: str | None = None
    """A prompt's id."""
    say: Text | None = None
    """A text with `{{variables}}`, spoken in the prompt's place."""
    voice: str | None = None
    next: str | None = None


class Say(NodeStruct, frozen=True, tag="say"):
    """Speaks a text."""

    text: Text
    """With `{{variables}}`."""
    voice: str | None = None
    """None is the installation's own."""
    next: str | None = None


class Gather(NodeStruct, frozen=True, tag="gather"):
    """Asks for keys. An answer that a branch names goes there. Where there are branches and none fits, or
    nothing is pressed, it asks again, `tries` times in all, and then goes to `otherwise`. Without branches
    every answer of at least one key goes to `next`."""

    prompt: Prompt | None = None
    digits: Annotated[int, Meta(ge=1, le=DIGITS_MAX)] = 1
    """The most keys of an answer; as many end it at once."""
    finish_on: Annotated[str, Meta(max_length=1, pattern=r"^[0-9*#A-D]?\Z")] = "#"
    """The key that ends an answer and is no part of it; empty for none. It is a key like any other where
    `digits` is 1 and a branch names it."""
    timeout_s: Annotated[float, Meta(ge=0.5, le=120)] = 5
    """How long the next key is waited for, from the prompt's end or the key before."""
    tries: Annotated[int, Meta(ge=1, le=20)] = 1
    """How often it asks in all."""
    barge_in: bool = True
    """Whether a key stops the prompt; if not, keys pressed during it count for nothing."""
    variable: Name | None = None
    """Takes the answer."""
    private: bool = False
    """Whether the answer, as a PIN, is for the call alone: it is in no event and no record."""
    branches: Annotated[dict[str, str], Meta(max_length=BRANCHES_MAX)] = field(default_factory=dict)
    """Answer → node."""
    otherwise: str | None = None
    """Where it goes without an answer that fits; None is `next`."""
    next: str | None = None


class Branch(NodeStruct, frozen=True, tag="branch"):
    """Goes by the value of a variable, or by who answered."""

    on: str
    """A variable's name, or `amd`: `human`, `machine`, `fax`, `unknown`, or `off` where nobody listened."""
    cases: Annotated[dict[str, str], Meta(max_length=BRANCHES_MAX)]
    """Value → node."""
    otherwise: str | None = None


class Set(NodeStruct, frozen=True, tag="set"):
    """Gives variables values; they come back in the attempt's `result`."""

    variables: Annotated[dict[Name, str], Meta(max_length=BRANCHES_MAX)]
    """Texts with `{{variables}}`."""
    next: str | None = None


class Record(NodeStruct, frozen=True, tag="record"):
    """Records the callee."""

    max_s: Annotated[float, Meta(gt=0, le=3600)] = 60
    silence_s: Annotated[float, Meta(gt=0, le=60)] | None = 3
    """A silence of this length ends it; None waits for `max_s` or a key."""
    beep: bool = True
    """Whether a tone tells the callee to begin."""
    finish_on: Annotated[str, Meta(max_length=12, pattern=r"^[0-9*#A-D]*\Z")] = "#"
    """Keys that end it."""
    variable: Name | None = None
    """Takes the recording's id."""
    next: str | None = None


class Transfer(NodeStruct, frozen=True, tag="transfer"):
    """Connects the callee with somebody else, until either hangs up. Where the callee does not, the flow
    goes on."""

    to: str
    """A number with its country code, or `agent`: one of the flow's agents who is free. It may hold
    `{{variables}}`."""
    ring_timeout_s: Annotated[float, Meta(ge=1, le=180)] = 30
    whisper: Prompt | None = None
    """Heard by the one who takes the call, before the two are connected."""
    hold: Prompt | None = None
    """Heard by the callee meanwhile, again and again."""
    on_answered: str | None = None
    """Where it goes when the other has hung up; None is `next`."""
    on_busy: str | None = None
    """None is `on_no_answer`."""
    on_no_answer: str | None = None
    """Also where the other must not or cannot be called; None is `next`."""
    next: str | None = None


class Request(NodeStruct, frozen=True, tag="request"):
    """Asks the user's own system over HTTP."""

    url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    """With `{{variables}}`, which are percent-encoded, and never in the host."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: Any = None
    """JSON; the texts in it may hold `{{variables}}`."""
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5
    save: str | dict[Name, str] = field(default_factory=dict)
    """A variable that takes the whole answer, or variables and, for each, the JSON pointer (RFC 6901) of
    what it takes."""
    on_error: str | None = None
    """Where it goes when there is no good answer in time; None is `next`."""
    next: str | None = None


class Wait(NodeStruct, frozen=True, tag="wait"):
    """Keeps the line in silence."""

    duration_s: Annotated[float, Meta(ge=0, le=3600)]
    next: str | None = None


class OptOut(NodeStruct, frozen=True, tag="opt_out"):
    """Puts the number on the do-not-call list, in force for every waiting contact at once."""

    scope: Literal["account", "flow"] = "account"
    """Whom the callee does not want to be called by."""
    next: str | None = None


class Hangup(NodeStruct, frozen=True, tag="hangup"):
    """Ends the call."""


Node = Play | Say | Gather | Branch | Set | Record | Transfer | Request | Wait | OptOut | Hangup


def prompts_in(node: Node) -> Iterator[tuple[str, Prompt]]:
    """(JSON pointer from the node, what is to be heard) of all that a node plays or speaks."""
    match node:
        case Play():
            yield "", Prompt(node.play, node.say, node.voice)
        case Say():
            yield "", Prompt(None, node.text, node.voice)
        case Gather(prompt=Prompt() as prompt):
            yield "/prompt", prompt
        case Transfer():
            for place, heard in (("/whisper", node.whisper), ("/hold", node.hold)):
                if heard is not None:
                    yield place, heard
