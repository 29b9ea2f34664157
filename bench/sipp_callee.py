"""A sipp callee that answers, and whose SDP names somebody else as the one to send sound to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HEADERS: Final = (
    "[last_Via:]\n[last_From:]\n[last_To:];tag=[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n"
    "Contact: <sip:[local_ip]:[local_port]>\n"
)
_CALLEE: Final = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="callee">
<recv request="INVITE"></recv>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
{headers}Content-Type: application/sdp
Content-Length: [len]

v=0
o=callee 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
<recv request="ACK"></recv>
<recv request="BYE"></recv>
<send><![CDATA[
SIP/2.0 200 OK
{headers}Content-Length: 0

]]></send>
</scenario>
"""


def write_callee(file: Path, media_port: int) -> None:
    """The scenario for `sipp -sf`; sound goes to this port of 127.0.0.1."""
    file.write_text(_CALLEE.format(headers=_HEADERS, port=media_port))
