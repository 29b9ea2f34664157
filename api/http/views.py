"""What the API shows of each thing: CONTRACT.md's JSON, as structs.

A view is made from the model by a pure function; nothing here asks the store.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from api.http.agent_views import LegView
from api.http.engine_front import DidLoad
from engine.audit import AuditEntry
from engine.did_health import HEALTH_WINDOW_S, DidRest, RestReason, RestWhen, Tally
from engine.disposition import Disposition
from engine.do_not_call import DoNotCall, DoNotCallChange, DoNotCallSource
from engine.events import rfc3339
from engine.flow_secrets import hide_secrets
from engine.intake.preview import Preview
from engine.intake.receipt import Receipt
from engine.model import (
    Account,
    ApiKey,
    Attempt,
    AttemptStatus,
    Blocker,
    BlockerCode,
    CallingWindow,
    CallingWindows,
    CallList,
    Cap,
    Contact,
    ContactStatus,
    Did,
    Flow,
    FlowKind,
    FlowSettings,
    ListCounts,
    ListStatus,
    Media,
    Prompt,
    Recording,
    Report,
    Role,
    RowError,
    Scope,
    SipOutcome,
    Source,
    Step,
    status_of,
)
from engine.number_series import NumberSeries
from engine.outlook import Forecast

encode = msgspec.json.Encoder().encode


class AccountView(Struct, frozen=True):
    """An account."""

    id: str
    name: str
    timezone: str
    email: str
    created_at: str
    calling_window: CallingWindow | CallingWindows | None
    number_series: NumberSeries | None
    channels: int | None
    cps: float | None
    caps: tuple[Cap, ...]
    calls_per_day: int | None
    country_calls_per_day: int | None
    country_caps: dict[str, int]
    approved_countries: tuple[str, ...]
    stopped_at: str | None
    """Since when an administrator lets it make no call."""
    paused_at: str | None
    """Since when no call of it begins."""


class KeyView(Struct, frozen=True, kw_only=True):
    """A key as the API shows it, but for itself."""

    id: str
    name: str
    account: str | None
    role: Role
    scopes: tuple[Scope, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A key, in the one answer that shows it."""

    key: str


class AuditView(Struct, frozen=True):
    """One change, and who made it."""

    at: str
    account: str | None
    key: str
    role: Role
    source: str
    action: str
    targets: tuple[str, ...]
    detail: dict[str, Any]


class LoadView(Struct, frozen=True):
    """How busy a DID is at this moment."""

    channels_in_use: int
    calls_last_s: int


class HealthView(Struct, frozen=True):
    """How a DID's calls were taken of late."""

    window_s: int
    calls: int
    """Those that say something of the DID; `docs/calling-rules.md` has which."""
    answer_rate: float | None
    """0 to 1; None of no calls."""
    blocked_share: float | None


class RestView(Struct, frozen=True):
    """That a DID is not called from for a while."""

    since: str
    until: str | None
    """None is until somebody lets it call again."""
    reason: RestReason
    detail: str


class DidView(Struct, frozen=True):
    """A caller number with its limits."""

    number: str
    account: str
    trunk: str
    cps: float
    channels: int
    caps: tuple[Cap, ...]
    rest_when: RestWhen
    load: LoadView
    health: HealthView
    rest: RestView | None
    """None while it may be called from."""


class ListenerView(Struct, frozen=True):
    """Whether a flow takes triggers and dials."""

    active: bool


class TriggersView(Struct, frozen=True):
    """Where a flow's triggers go."""

    multicast_url: str
    calls_url: str
    upload_url: str
    email: str | None = None
    """None until lists are taken by mail."""
    sftp: str | None = None
    """None until lists are fetched by SFTP."""


class FlowView(Struct, frozen=True):
    """A flow."""

    id: str
    name: str
    kind: FlowKind
    timezone: str
    definition: dict[str, Any]
    settings: FlowSettings
    version: int
    listener: ListenerView
    dids: tuple[str, ...]
    calls_list: str
    """The list of its single calls."""
    triggers: TriggersView
    created_at: str
    paused_at: str | None = None
    """Since when no call of it begins."""


class CountsView(Struct, frozen=True):
    """Where the contacts of a list are."""

    contacts: int
    scheduled: int
    waiting: int
    dialing: int
    completed: int


class ForecastView(Struct, frozen=True):
    """When the calls of a list would end."""

    ends_at: str | None
    """None where no end is in sight: no number to call from, or calling windows that never open."""
    calls_per_s: float
    bottleneck: BlockerCode
    assumes: str


class PreflightView(Struct, frozen=True):
    """What a list would come to."""

    numbers: int
    countries: dict[str, int]
    """Numbers by region (ISO 3166-1 alpha-2; `001` is no country)."""
    do_not_call: DoNotCallHitsView
    starts: StartsView
    duplicate_of: str | None
    """The list that the same file made within 24 hours."""
    forecast: ForecastView | None


class DoNotCallHitsView(Struct, frozen=True):
    """How many are on the do-not-call list now."""

    numbers: int
    contacts: int
    """Of which no number may be called."""


class StartsView(Struct, frozen=True):
    """When contacts would start."""

    now: int
    """Contacts that would be due at once."""
    earliest: str | None
    latest: str | None


class ListView(Struct, frozen=True):
    """A call list."""

    id: str
    """Empty for a list that was only tried (`dry_run`)."""
    flow: str
    name: str
    source: Source
    status: ListStatus
    counts: CountsView
    dispositions: dict[Disposition, int]
    report: Report
    created_at: str
    started_at: str | None
    finished_at: str | None
    blocked: dict[BlockerCode, int] | UnsetType = UNSET
    """What the contacts that are scheduled or waiting wait for; not shown where there are many lists."""
    dry_run: bool | UnsetType = UNSET
    preflight: PreflightView | UnsetType = UNSET
    """Of a list that was only tried."""


class MulticastView(Struct, frozen=True):
    """What became of a multicast trigger."""

    list: str
    accepted: int
    rejected: tuple[RowError, ...]
    """The first of them; rejected.csv has all."""


class CallView(Struct, frozen=True):
    """What became of a single call's trigger."""

    contact: str
    status: ContactStatus
    warnings: tuple[RowError, ...]


class BlockerView(Struct, frozen=True):
    """Why a contact is not dialled now."""

    code: str
    detail: str
    until: str | None


class AttemptView(Struct, frozen=True):
    """A call detail record."""

    id: str
    flow: str
    list: str
    contact: str
    number: str
    did: str
    trunk: str
    status: AttemptStatus
    disposition: Disposition | None
    initiated_at: str
    ringing_at: str | None
    answered_at: str | None
    ended_at: str | None
    duration_s: float | None
    sip: SipOutcome | None
    q850: int | None
    amd: str | None
    digits: str
    result: dict[str, Any]
    media: Media | None
    agent: str | None
    """Who took it: an agent's id, or a number."""
    abandoned: bool | None
    """Whether no agent took a customer who answered; None where none was wanted."""
    legs: tuple[LegView, ...] | UnsetType = UNSET
    """The calls that were made for it; left out where many attempts are shown."""
    steps: tuple[Step, ...] | UnsetType = UNSET
    """What the call went through of its flow; left out where many attempts are shown."""


class ContactView(Struct, frozen=True):
    """A contact."""

    id: str
    list: str
    flow: str
    row: int
    tel: tuple[str, ...]
    variables: dict[str, str]
    reference: str | None
    agent: str | None
    """Who is to talk with it: a number; None where that is open."""
    starttime: str
    status: ContactStatus
    disposition: Disposition | None
    completed_at: str | None
    blocker: BlockerView | None
    attempts: tuple[AttemptView, ...] | UnsetType = UNSET
    """Oldest first; left out where many contacts are shown."""


class RecordingView(Struct, frozen=True):
    """A recording."""

    id: str
    attempt: str
    created_at: str
    url: str
    """Where its sound is."""


class PromptView(Struct, frozen=True):
    """A recording."""

    id: str
    name: str
    duration_s: float
    created_at: str


class DoNotCallView(Struct, frozen=True):
    """A number, or a range of numbers, that is not called."""

    number: str
    flow: str | None
    """Only by this flow; None by none of the account."""
    added_at: str
    expires_at: str | None
    note: str
    source: DoNotCallSource
    added_by: str | None


class DoNotCallChangeView(Struct, frozen=True):
    """What somebody did to the do-not-call list."""

    time: str
    action: Literal["added", "removed"]
    number: str
    flow: str | None
    source: DoNotCallSource
    by: str | None
    expires_at: str | None
    note: str


def show_account(account: Account) -> AccountView:
    """An account as the API shows it."""
    return AccountView(
        id=account.id,
        name=account.name,
        timezone=account.timezone,
        email=account.email,
        created_at=rfc3339(account.created_at),
        calling_window=account.rules.calling_window,
        number_series=account.rules.number_series,
        channels=account.rules.channels,
        cps=account.rules.cps,
        caps=account.rules.caps,
        calls_per_day=account.rules.calls_per_day,
        country_calls_per_day=account.rules.country_calls_per_day,
        country_caps=account.rules.country_caps,
        approved_countries=account.rules.approved_countries,
        stopped_at=_show_time(account.stopped_at),
        paused_at=_show_time(account.paused_at),
    )


def show_do_not_call(entry: DoNotCall) -> DoNotCallView:
    """A listed number as the API shows it."""
    return DoNotCallView(
        number=entry.number,
        flow=entry.flow,
        added_at=rfc3339(entry.added_at),
        expires_at=_show_time(entry.expires_at),
        note=entry.note,
        source=entry.source,
        added_by=entry.added_by,
    )


def show_do_not_call_change(change: DoNotCallChange) -> DoNotCallChangeView:
    """A change of the do-not-call list as the API shows it."""
    return DoNotCallChangeView(
        time=rfc3339(change.at),
        action=change.action,
        number=change.number,
        flow=change.flow,
        source=change.source,
        by=change.by,
        expires_at=_show_time(change.expires_at),
        note=change.note,
    )


def show_key(record: ApiKey) -> KeyView:
    """What is known of a key."""
    return KeyView(**_fields_of_key(record))


def show_new_key(record: ApiKey, key: str) -> NewKeyView:
    """A key, for the only time."""
    return NewKeyView(key=key, **_fields_of_key(record))


def _fields_of_key(record: ApiKey) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "account": record.account,
        "role": record.role,
        "scopes": record.scopes,
        "created_at": rfc3339(record.created_at),
        "expires_at": record.expires_at and rfc3339(record.expires_at),
        "revoked_at": record.revoked_at and rfc3339(record.revoked_at),
        "last_used_at": record.last_used_at and rfc3339(record.last_used_at),
    }


def show_audit(entry: AuditEntry) -> AuditView:
    """A change as the audit log shows it."""
    return AuditView(
        rfc3339(entry.at),
        entry.account,
        entry.key,
        entry.role,
        entry.source,
        entry.action,
        entry.targets,
        entry.detail,
    )


def show_did(did: Did, load: DidLoad, tally: Tally) -> DidView:
    """A DID as the API shows it, with its load and its health."""
    return DidView(
        number=did.number,
        account=did.account,
        trunk=did.trunk,
        cps=did.cps,
        channels=did.channels,
        caps=did.caps,
        rest_when=did.rest_when,
        load=LoadView(load.channels_in_use, load.calls_last_s),
        health=HealthView(
            HEALTH_WINDOW_S, tally.calls, _share(tally.answer_rate), _share(tally.blocked_share)
        ),
        rest=None if did.rest is None else _show_rest(did.rest),
    )


def _show_rest(rest: DidRest) -> RestView:
    return RestView(rfc3339(rest.since), _show_time(rest.until), rest.reason, rest.detail)


def _share(share: float | None) -> float | None:
    """A share as people read it: a thousandth is fine enough."""
    return None if share is None else round(share, 3)


def show_flow(flow: Flow, public_url: str) -> FlowView:
    """A flow as the API shows it; its triggers begin with `public_url`."""
    base = f"{public_url}/v1/flows/{flow.id}"
    return FlowView(
        id=flow.id,
        name=flow.name,
        kind=flow.kind,
        timezone=flow.timezone,
        definition=flow.definition,
        settings=hide_secrets(flow.settings),
        version=flow.version,
        listener=ListenerView(flow.listener_active),
        dids=flow.dids,
        calls_list=flow.calls_list,
        triggers=TriggersView(f"{base}/multicast", f"{base}/calls", f"{base}/lists"),
        created_at=rfc3339(flow.created_at),
        paused_at=_show_time(flow.paused_at),
    )


def show_list(
    call_list: CallList,
    counts: ListCounts,
    blocked: dict[BlockerCode, int] | UnsetType = UNSET,
) -> ListView:
    """A call list as the API shows it."""
    return ListView(
        id=call_list.id,
        flow=call_list.flow,
        name=call_list.name,
        source=call_list.source,
        status=call_list.status,
        counts=CountsView(
            contacts=counts.contacts,
            scheduled=counts.scheduled,
            waiting=counts.waiting,
            dialing=counts.dialing,
            completed=counts.completed,
        ),
        dispositions=counts.dispositions,
        report=call_list.report,
        created_at=rfc3339(call_list.created_at),
        started_at=_show_time(call_list.started_at),
        finished_at=_show_time(call_list.finished_at),
        blocked=blocked,
    )


def show_multicast(receipt: Receipt) -> MulticastView:
    """What became of a multicast trigger."""
    report = receipt.call_list.report
    return MulticastView(receipt.call_list.id, report.accepted, report.errors)


def show_receipt(receipt: Receipt, now: float) -> ListView:
    """A list that was accepted this moment. Its contacts may move on while this is written: the answer
    tells what was accepted, and the list itself tells the rest."""
    accepted = receipt.call_list.report.accepted
    is_later = receipt.earliest_due_at is not None and receipt.earliest_due_at > now
    scheduled = accepted if is_later else 0
    counts = ListCounts(accepted, scheduled, accepted - scheduled, 0, 0, {})
    return show_list(receipt.call_list, counts)


def show_preview(flow: Flow, name: str, preview: Preview, now: float) -> ListView:
    """What a list would be that was only tried."""
    report = preview.report
    later = report.accepted - preview.starts_now
    return ListView(
        id="",
        flow=flow.id,
        name=name,
        source="upload",
        status="scheduled" if report.accepted else "rejected",
        counts=CountsView(report.accepted, later, preview.starts_now, 0, 0),
        dispositions={},
        report=report,
        created_at=rfc3339(now),
        started_at=None,
        finished_at=None,
        dry_run=True,
        preflight=PreflightView(
            numbers=preview.numbers,
            countries=preview.countries,
            do_not_call=DoNotCallHitsView(
                preview.do_not_call_numbers, preview.do_not_call_contacts
            ),
            starts=StartsView(
                preview.starts_now,
                _show_time(preview.earliest_at),
                _show_time(preview.latest_at),
            ),
            duplicate_of=preview.duplicate_of,
            forecast=_show_forecast(preview.forecast),
        ),
    )


def _show_forecast(forecast: Forecast | None) -> ForecastView | None:
    if forecast is None:
        return None
    return ForecastView(
        _show_time(forecast.ends_at),
        forecast.calls_per_s,
        forecast.bottleneck,
        forecast.assumes,
    )


def show_contact(contact: Contact, blocker: Blocker | None, now: float) -> ContactView:
    """A contact as the API shows it at `now`, without its attempts."""
    return ContactView(
        id=contact.id,
        list=contact.list,
        flow=contact.flow,
        row=contact.row,
        tel=contact.tel,
        variables=contact.variables,
        reference=contact.reference,
        agent=contact.agent,
        starttime=rfc3339(contact.starttime),
        status=status_of(contact, now),
        disposition=contact.disposition,
        completed_at=_show_time(contact.completed_at),
        blocker=None
        if blocker is None
        else BlockerView(blocker.code, blocker.detail, _show_time(blocker.until)),
    )


def show_attempt(attempt: Attempt) -> AttemptView:
    """A call detail record as the API shows it."""
    return AttemptView(
        id=attempt.id,
        flow=attempt.flow,
        list=attempt.list,
        contact=attempt.contact,
        number=attempt.number,
        did=attempt.did,
        trunk=attempt.trunk,
        status=attempt.status,
        disposition=attempt.disposition,
        initiated_at=rfc3339(attempt.initiated_at),
        ringing_at=_show_time(attempt.ringing_at),
        answered_at=_show_time(attempt.answered_at),
        ended_at=_show_time(attempt.ended_at),
        duration_s=attempt.duration_s,
        sip=attempt.sip,
        q850=attempt.q850,
        amd=attempt.amd,
        digits=attempt.digits,
        result=attempt.result,
        media=attempt.media,
        agent=attempt.agent,
        abandoned=attempt.abandoned,
    )


def show_recording(recording: Recording) -> RecordingView:
    """A recording as the API shows it."""
    return RecordingView(
        recording.id,
        recording.attempt,
        rfc3339(recording.created_at),
        f"/v1/recordings/{recording.id}",
    )


def show_prompt(prompt: Prompt) -> PromptView:
    """A recording as the API shows it."""
    return PromptView(prompt.id, prompt.name, prompt.duration_s, rfc3339(prompt.created_at))


def _show_time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
