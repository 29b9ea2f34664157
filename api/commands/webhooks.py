"""`callwheel webhooks listen`: what a webhook would be sent, as it happens, for whoever writes a receiver.

The events are read from the feed, so that nothing need be reachable from outside, and no flow be changed.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from typing import Final, get_args

import msgspec
import trio

from adapters.http_client import HttpClient, HttpFailed
from adapters.webhook import make_headers
from api.answers import ApiError, SentEvent
from api.client import CallwheelClient
from api.commands import USAGE, Command, CommandFailed
from api.commands.connection import add_connection_arguments, make_client
from api.commands.terminal import printable, say
from engine.model.events import EventType
from engine.model.webhook import delivery_id, find_webhook_mistakes

FORWARD_TIMEOUT_S: Final = 15.0
TYPES: Final[tuple[str, ...]] = get_args(EventType)


def add_arguments(parser: ArgumentParser) -> None:
    """Which events, and what is done with them."""
    parser.add_argument("--flow", metavar="FLOW", help="only this flow's events, as flw_…")
    parser.add_argument(
        "--event", action="append", metavar="TYPE", help="only this type; may be repeated"
    )
    parser.add_argument("--secret", help="sign as a webhook with this secret does")
    parser.add_argument("--forward", metavar="URL", help="also send each to this address")
    parser.add_argument("--since", type=int, metavar="SEQ", help="begin after this event's number")
    parser.add_argument("--count", type=int, metavar="N", help="stop after so many")
    add_connection_arguments(parser)


def listen(args: Namespace) -> int:
    """Print each request as it would be sent, until interrupted."""
    for type_ in args.event or ():
        if type_ not in TYPES:
            raise CommandFailed(
                f"there is no event {type_!r}; there are: {', '.join(TYPES)}.", USAGE
            )
    hook = {"url": args.forward, "secret": args.secret}
    for mistake in find_webhook_mistakes(hook, ""):
        said = mistake.detail.replace("`url`", "--forward").replace("`secret`", "--secret")
        raise CommandFailed(said, USAGE)
    trio.run(_listen, make_client(args), args)
    return 0


async def _listen(client: CallwheelClient, args: Namespace) -> None:
    if args.flow is not None:
        await _require_flow(client, args.flow)
    say("Waiting for events; Ctrl-C ends it.")
    sender = HttpClient(timeout_s=FORWARD_TIMEOUT_S) if args.forward else None
    left = args.count
    async with client.follow_sent(args.flow, args.since) as events:
        async for event in events:
            if event.type == "gap" or (args.event and event.type not in args.event):
                continue
            headers, body = _make_request(event, args.secret)
            _print_request(headers, body)
            if sender is not None:
                say(await _forward(sender, args.forward, headers, body))
            left = None if left is None else left - 1
            if left == 0:
                return


async def _require_flow(client: CallwheelClient, flow: str) -> None:
    """A flow that is not there has no events, and would be waited for without end. Raises `ApiError`."""
    try:
        await client.get_flow(flow)
    except ApiError as error:
        if error.code != "forbidden":  # a key for the feed alone
            raise


def _make_request(event: SentEvent, secret: str | None) -> tuple[dict[str, str], bytes]:
    body = msgspec.json.encode(event)
    now = time.time()  # noqa: TID251 - a receiver checks that the moment of sending is not long past
    secrets = () if secret is None else (secret,)
    return make_headers(secrets, delivery_id(event.account, event.seq), body, now), body


def _print_request(headers: dict[str, str], body: bytes) -> None:
    for name, value in headers.items():
        print(printable(f"{name}: {value}"))
    print(f"\n{printable(body.decode())}\n", flush=True)


async def _forward(sender: HttpClient, url: str, headers: dict[str, str], body: bytes) -> str:
    try:
        answer = await sender.request("POST", url, headers=headers, body=body)
    except HttpFailed as error:
        return f"Not taken: {error}"
    return f"Answered with {answer.status}."


COMMAND = Command("webhooks listen", "print what a webhook would be sent", add_arguments, listen)
