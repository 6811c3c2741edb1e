"""What the environment says of the way to a server: which proxy stands between, and which certificates are trusted."""

import importlib.util
import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import UserError

SCHEMES = ('http', 'https', 'socks5', 'socks5h')  # of a proxy, that the HTTP library knows
CERTIFICATES = ('SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE')  # the first that is set counts, as with curl, OpenSSL and requests


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the variable that names it. Nothing prints its password."""

    variable: str
    url: str = field(repr=False)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f'{parts.scheme}://{parts.netloc.rpartition("@")[2]} (${self.variable})'


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy on the way to `url`, None where there is none; raises UserError for one that cannot be used.

    A proxy for other addresses is nobody's business here, be it as broken as it may. As everywhere, a name in small letters goes first.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname or ''
    names = [name for wanted in (f'{scheme}_proxy', 'all_proxy') for name in (wanted, wanted.upper())]
    variable = next((name for name in names if os.environ.get(name, '').strip()), '')
    if not variable or _spared(host, parts.port or {'http': 80, 'https': 443}.get(scheme, 0)):
        return None
    value = os.environ[variable].strip()
    proxy = Proxy(variable, value if '://' in value else f'http://{value}')
    _refuse_unusable(proxy, host)
    return proxy


def _refuse_unusable(proxy: Proxy, host: str) -> None:
    spare = f'or spare this server: NO_PROXY={host}'
    try:
        parts = urlsplit(proxy.url)
        whole = bool(parts.hostname) and (parts.port is None or parts.port > 0) and proxy.url.isprintable() and ' ' not in proxy.url
        whole = whole and '@' not in f'{parts.path}{parts.query}{parts.fragment}'  # of a password with / ? or # in it
    except ValueError:  # a port that is none, half a bracket
        whole = False
    if not whole:
        raise UserError(f'${proxy.variable}: expected a proxy such as http://127.0.0.1:3128, found something else; correct it '
                        f'(in a name or secret of it @ is written %40, / %2F, # %23), {spare}')
    if parts.scheme not in SCHEMES:
        raise UserError(f'${proxy.variable}: expected a proxy of {", ".join(SCHEMES)}, found {proxy}; correct it, {spare}')
    if parts.scheme.startswith('socks') and importlib.util.find_spec('socksio') is None:
        raise UserError(f'${proxy.variable}: expected the package socksio for the proxy {proxy}, found none; pip install socksio, {spare}')


def _spared(host: str, port: int) -> bool:
    """Return whether NO_PROXY names the host: as curl reads it, with networks and with brackets around IPv6 addresses, as people write them."""
    listed = os.environ.get('no_proxy') or os.environ.get('NO_PROXY') or ''
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in listed.replace(' ', ',').split(',') if entry.strip())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == '*':
        return True
    entry = entry.rpartition('://')[2]
    entry = entry.removesuffix('/')
    address = _address(host)
    network = _network(entry.strip('[]') if '/' in entry or entry.startswith('[') and entry.endswith(']') else entry)
    if network is not None:
        return address is not None and address in network
    name, colon, number = entry.rpartition(':')
    if colon and number.isdecimal():
        return int(number) == port and _names(name, host, port)
    name = entry.removeprefix('*').lstrip('.')
    return host == name or host.endswith(f'.{name}')


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def trusted(url: str, proxy: Proxy | None) -> ssl.SSLContext | bool:
    """Return what the HTTP library shall trust: what the environment names, else True (its own choice).

    Raises UserError for a file or folder that cannot be read or holds no certificate. To a server over plain http nothing of it matters: what
    is returned then trusts nobody, should the server send us on to an address with https.
    """
    if not (url.startswith('https:') or proxy is not None and proxy.url.startswith('https:')):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    variable = next((name for name in CERTIFICATES if os.environ.get(name)), '')
    if not variable:
        return True
    path = Path(os.environ[variable])
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=str(path))
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ValueError) as e:  # SSLError is an OSError
        log = os.environ.get('SSLKEYLOGFILE')
        if log and isinstance(e, OSError) and e.filename == log:  # Python opens it for each context
            raise UserError(f'$SSLKEYLOGFILE: expected a file to write to, found {log}: {e.strerror}; correct it, or unset it') from None
        found = 'no certificate in it' if isinstance(e, ssl.SSLError) else e.strerror if isinstance(e, OSError) else 'no path'
        raise UserError(f'${variable}: expected a file of certificates (PEM), found {path}: {found}; correct it, or unset it') from None
