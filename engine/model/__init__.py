"""The nouns of the field, as values: accounts, flows, DIDs, call lists, contacts, attempts.

Everything here is frozen; a change is a new value (`msgspec.structs.replace`). Every moment is a float
of seconds since the Unix epoch, UTC, in a field that ends in `_at`; every length of time ends in `_s`.
What exists by the hundred thousand is kept from the garbage collector (`gc=False`): it holds no cycles, and
a full collection over it would be felt on calls.

Each noun has a module, and is known by its name here, as the API, the store and the engine all speak of it.
"""

from engine.model.account import Account, AccountRules
from engine.model.api_key import ApiKey, Role, Scope
from engine.model.attempt import (
    Attempt,
    AttemptStatus,
    Media,
    SipOutcome,
    Step,
    TrunkFailure,
)
from engine.model.call_list import (
    REPORT_ERRORS_MAX,
    CallList,
    ListCounts,
    ListStatus,
    RejectedRow,
    Report,
    RowError,
    Source,
)
from engine.model.calling_window import (
    DAYS,
    HOLIDAYS_MAX,
    WINDOWS_MAX,
    CallingWindow,
    CallingWindows,
    Day,
    windows_of,
)
from engine.model.caps import (
    CALLEE_CALLS_MAX,
    CAPS_MAX,
    COUNTRIES_MAX,
    PRIORITIES,
    CalleeCap,
    CalleeCaps,
    CallsPerDay,
    CallsPerSecond,
    Cap,
    Caps,
    Channels,
    Countries,
    Country,
    CountryCaps,
    Priority,
)
from engine.model.contact import TELS_MAX, Blocker, BlockerCode, Contact, ContactStatus, status_of
from engine.model.did import Did
from engine.model.flow import (
    DISPLAY_NAME_LENGTH_MAX,
    EMAIL_SENDERS_MAX,
    HEADER_VALUE_LENGTH_MAX,
    CallerNumbers,
    Dialing,
    EmailAddress,
    Flow,
    FlowKind,
    FlowSettings,
    Message,
    PresentationSettings,
    RetriedDisposition,
    RetryRule,
)
from engine.model.sound import Prompt, Recording

__all__ = [
    "CALLEE_CALLS_MAX",
    "CAPS_MAX",
    "COUNTRIES_MAX",
    "DAYS",
    "DISPLAY_NAME_LENGTH_MAX",
    "EMAIL_SENDERS_MAX",
    "HEADER_VALUE_LENGTH_MAX",
    "HOLIDAYS_MAX",
    "PRIORITIES",
    "REPORT_ERRORS_MAX",
    "TELS_MAX",
    "WINDOWS_MAX",
    "Account",
    "AccountRules",
    "ApiKey",
    "Attempt",
    "AttemptStatus",
    "Blocker",
    "BlockerCode",
    "CallList",
    "CalleeCap",
    "CalleeCaps",
    "CallerNumbers",
    "CallingWindow",
    "CallingWindows",
    "CallsPerDay",
    "CallsPerSecond",
    "Cap",
    "Caps",
    "Channels",
    "Contact",
    "ContactStatus",
    "Countries",
    "Country",
    "CountryCaps",
    "Day",
    "Dialing",
    "Did",
    "EmailAddress",
    "Flow",
    "FlowKind",
    "FlowSettings",
    "ListCounts",
    "ListStatus",
    "Media",
    "Message",
    "PresentationSettings",
    "Priority",
    "Prompt",
    "Recording",
    "RejectedRow",
    "Report",
    "RetriedDisposition",
    "RetryRule",
    "Role",
    "RowError",
    "Scope",
    "SipOutcome",
    "Source",
    "Step",
    "TrunkFailure",
    "status_of",
    "windows_of",
]
