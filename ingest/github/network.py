"""Proxies and certificate authorities from the environment, checked before the first request.

httpx reads the same variables, but it also checks those that GitHub's address does not need, and
fails with a traceback.
"""

import ipaddress
import os
import ssl
import urllib.request
from contextlib import suppress
from pathlib import Path

import httpx

from dora.errors import ConfigurationError

PROXY_SCHEMES = "http://, https://, socks5:// or socks5h://"


def trusted(url: str, ca_bundle: Path | None) -> ssl.SSLContext | bool:
    """Return the authorities for TLS: private ones, or True for the public ones.

    Private ones come from `GITHUB_CA_BUNDLE`, else `SSL_CERT_FILE` or `SSL_CERT_DIR`. They are used
    without the strict flag, which Python sets from 3.13 on: it refuses certificates without an
    Authority Key Identifier, which companies' authorities often issue.
    """
    if ca_bundle is not None:
        return _context("GITHUB_CA_BUNDLE", ca_bundle.expanduser())
    if httpx.URL(url).scheme == "https":
        for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            if path := os.environ.get(variable):
                return _context(variable, Path(path))
    return True


def _context(variable: str, path: Path) -> ssl.SSLContext:
    try:
        if variable == "SSL_CERT_DIR":
            # OpenSSL says nothing about a folder that does not exist.
            os.scandir(path).close()
            context = ssl.create_default_context(capath=path)
        else:
            context = ssl.create_default_context(cafile=path)
    except OSError as error:
        is_no_pem = isinstance(error, ssl.SSLError)
        reason = "it contains no certificate in PEM" if is_no_pem else error.strerror
        raise ConfigurationError(f"{variable} '{path}' cannot be read: {reason}") from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def proxy_variable(url: str) -> str:
    """Return the variable that has the proxy for this address, to name it in a message."""
    return _variable(_scheme_of_proxy(httpx.URL(url)))


def password_required(url: str) -> ConfigurationError:
    """Return the error for a proxy that answers 407."""
    return ConfigurationError(
        f"the proxy in {proxy_variable(url)} requires a name and a password: put them into its "
        "address, as in http://NAME:PASSWORD@HOST:PORT"
    )


def find_proxy(url: str, verify: ssl.SSLContext | bool) -> httpx.Proxy | None:
    """Return the proxy for this address from the environment, if there is one.

    Messages do not show its value: it may contain a password.
    """
    address = httpx.URL(url)
    proxies = urllib.request.getproxies()
    scheme = _scheme_of_proxy(address)
    value = proxies.get(scheme)
    if not value or _is_bypassed(address, proxies.get("no", "")):
        return None
    context = verify if isinstance(verify, ssl.SSLContext) else None
    with suppress(httpx.InvalidURL, ValueError):
        proxy = httpx.Proxy(value if "://" in value else f"http://{value}")
        if proxy.url.scheme == "https":
            proxy.ssl_context = context
        if proxy.url.host and (proxy.url.port or 1) in range(1, 65536):
            return proxy
    raise ConfigurationError(
        f"{_variable(scheme)} is not a valid proxy address: use {PROXY_SCHEMES}, then HOST:PORT; "
        "or add GitHub's host to NO_PROXY"
    )


def _scheme_of_proxy(address: httpx.URL) -> str:
    return address.scheme if urllib.request.getproxies().get(address.scheme) else "all"


def _variable(scheme: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return next((name for name in names if os.environ.get(name)), f"{scheme.upper()}_PROXY")


def _is_bypassed(address: httpx.URL, no_proxy: str) -> bool:
    """Whether `NO_PROXY` names the address: by host, domain, address or network, or `*`."""
    host = address.host
    is_name = ":" not in host
    if urllib.request.proxy_bypass(f"{host}:{address.port}" if is_name and address.port else host):
        return True
    for entry in no_proxy.split(","):
        with suppress(ValueError):
            network = ipaddress.ip_network(entry.strip().strip("[]"), strict=False)
            if ipaddress.ip_address(host) in network:
                return True
    return False
