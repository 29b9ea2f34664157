"""How well somebody was probably heard: the E-model of ITU-T G.107, as far as a call's figures go.

    R = 93.2 - Id - Ie,eff          G.107 with its defaults for everything that is not measured
    Ie,eff = Ie + (95 - Ie) · Ppl / (Ppl / BurstR + Bpl)                             G.107 §3.5
    Id = 0.024 · d + 0.11 · (d - 177.3) where d > 177.3                Cole and Rosenbluth, 2001
    MOS = 1 + 0.035 · R + R · (R - 60) · (100 - R) · 7e-6                        G.107 annex B

G.711 has Ie = 0, and Bpl = 25.1 where lost packets are concealed (G.113 appendix I), as every telephone
does. Losses are taken for random (BurstR = 1). The delay d is one way, mouth to ear.
"""

from __future__ import annotations

from typing import Final

RATING_BEST: Final = 93.2
MOS_MIN: Final = 1.0
MOS_MAX: Final = 4.5
IMPAIRMENT_MAX: Final = 95.0
G711_LOSS_ROBUSTNESS: Final = 25.1
DELAY_EASY_MS: Final = 177.3
"""A longer delay disturbs a conversation."""
PACKET_MS: Final = 20
JITTER_BUFFERED: Final = 2
"""A receiver's buffer holds about so many times the jitter."""


def estimate_mos(loss: float, jitter_ms: float, rtt_ms: float | None) -> float:
    """The mean opinion score, 1 to 4.5, of G.711 sound that lost this share of its packets, 0 to 1.

    Without a round trip the network's delay counts as nothing.
    """
    delay_ms = (rtt_ms or 0.0) / 2 + PACKET_MS + JITTER_BUFFERED * jitter_ms
    return mos_of_rating(RATING_BEST - _delay_impairment(delay_ms) - _loss_impairment(loss))


def mos_of_rating(rating: float) -> float:
    """The mean opinion score of a transmission rating R (G.107 annex B)."""
    if rating <= 0:
        return MOS_MIN
    if rating >= 100:
        return MOS_MAX
    mos = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    # The polynomial dips below 1 at the lowest ratings.
    return max(MOS_MIN, mos)


def _delay_impairment(delay_ms: float) -> float:
    return 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - DELAY_EASY_MS)


def _loss_impairment(loss: float) -> float:
    percent = 100 * min(1.0, max(0.0, loss))
    return IMPAIRMENT_MAX * percent / (percent + G711_LOSS_ROBUSTNESS)
