"""What the configuration means for the engine and for signalling."""

from __future__ import annotations

from typing import Final

from adapters.media.codecs.codec import CodecName
from adapters.sip.identity.headers import TrunkIdentity
from adapters.sip.transport.sockets import TlsSettings
from adapters.sip.trunk import Stir, Trunk
from adapters.sip.user_agent import UserAgentSettings
from adapters.sip.wire.digest import Credentials
from api.config import Config
from api.config import Trunk as TrunkConfig
from engine.dial.limits.day_caps import DayCapDefaults
from engine.dial.trunks.route import RouteSettings
from engine.dial.trunks.trunk import TrunkSettings
from engine.running.settings import EngineSettings

TELL_WAITING_S: Final = 10.0
"""How often at the most the feed tells what the contacts of a list wait for."""


def engine_settings(config: Config) -> EngineSettings:
    return EngineSettings(
        channels=config.limits.channels,
        cps=config.limits.cps,
        destinations=config.limits.destinations,
        tell_waiting_s=TELL_WAITING_S,
        trunks=tuple(
            TrunkSettings(
                trunk.name,
                trunk.channels,
                trunk.cps,
                trunk.outcomes,
                trunk.caps,
            )
            for trunk in config.trunks
        ),
        routes=tuple(RouteSettings(route.name, route.trunks) for route in config.routes),
        caps=config.limits.caps,
        did_rests=config.dids,
        day_caps=DayCapDefaults(
            config.limits.account_calls_per_day, config.limits.country_calls_per_day
        ),
        drain_s=config.drain_s,
    )


def sip_settings(config: Config) -> UserAgentSettings:
    tls_bind = config.sip.tls_bind
    return UserAgentSettings(
        trunks=tuple(sip_trunk(trunk) for trunk in config.trunks),
        bind=(config.sip.bind.host, config.sip.bind.port),
        advertise=config.sip.advertise,
        tls=TlsSettings(
            bind=None if tls_bind is None else (tls_bind.host, tls_bind.port),
            certificate=config.sip.tls_cert,
            key=config.sip.tls_key,
            authorities=config.sip.tls_ca,
        ),
        nameservers=tuple((server.host, server.port) for server in config.sip.nameservers),
    )


def sip_trunk(trunk: TrunkConfig) -> Trunk:
    stir = None
    if trunk.stir_key and trunk.stir_certificate_url and trunk.stir_attestation:
        stir = Stir(trunk.stir_key, trunk.stir_certificate_url, trunk.stir_attestation)
    return Trunk(
        name=trunk.name,
        host=trunk.uri.host,
        port=trunk.uri.port,
        transport=trunk.uri.transport,
        credentials=_credentials(trunk.username, trunk.password),
        realm=None if trunk.realm is None else trunk.realm.encode(),
        domain=trunk.from_domain,
        large_over_tcp=trunk.large_over_tcp,
        tls_check=trunk.tls_check,
        registers=trunk.register,
        register_expires_s=trunk.register_expires_s,
        probe_s=trunk.probe_s,
        session_expires_s=trunk.session_expires_s,
        follows_redirects=trunk.follow_redirects,
        identity=TrunkIdentity(
            display_name=trunk.display_name,
            asserted=trunk.asserted_identity,
            asserted_form=trunk.asserted_form,
            diversion=trunk.diversion,
            headers=trunk.headers,
        ),
        stir=stir,
        codecs=trunk.codecs,
        srtp=trunk.srtp,
    )


def _credentials(username: str | None, password: str | None) -> Credentials | None:
    if username is None or password is None:
        return None
    return Credentials(username.encode(), password.encode())


def codecs_of(config: Config) -> tuple[CodecName, ...]:
    """What the trunks speak."""
    return tuple(sorted({codec for trunk in config.trunks for codec in trunk.codecs}))
