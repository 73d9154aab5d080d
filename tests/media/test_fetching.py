"""Downloads over real sockets: allowed addresses, and every refusal."""

import asyncio
import base64
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core.errors import BadFile, EaselError, OutputGone, Unavailable, UnsafeAddress
from bot.media.fetching import FetchedFile, Fetcher
from tests.certificates import make_contexts

PRIVATE = "I do not follow links to private or local addresses."
BODY = b"\x89PNG and so on" * 100


class DownloadSite:
    """A server on loopback with every kind of answer."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.cut = asyncio.Event()
        self.redirect_to = ""
        app = web.Application()
        app.router.add_get("/{what}", self.answer)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        answers: dict[str, Callable[[web.Request], object]] = {
            "file": lambda _: web.Response(body=BODY, headers={"Content-Type": "Image/PNG; x=1", "Set-Cookie": "a=b"}),
            "gone": lambda _: web.Response(status=404),
            "forbidden": lambda _: web.Response(status=403),
            "down": lambda _: web.Response(status=503),
            "redirect": lambda _: web.Response(status=302, headers={"Location": self.redirect_to}),
            "gzip": lambda _: web.Response(
                body=gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"}, zlib_executor_size=1
            ),
        }
        if (made := answers.get(request.match_info["what"])) is not None:
            response = made(request)
            assert isinstance(response, web.Response)
            return response
        return await getattr(self, request.match_info["what"])(request)  # type: ignore[no-any-return]  # by name

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """No length told, and no end."""
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while True:
            await response.write(bytes(65536))

    async def drip(self, request: web.Request) -> web.StreamResponse:
        """Send one byte, and wait until the client gives up."""
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x")
        await self.cut.wait()
        return response

    async def broken(self, request: web.Request) -> web.StreamResponse:
        """Declare more bytes than are sent."""
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        assert request.transport is not None
        request.transport.close()
        return response


@pytest.fixture
async def site() -> AsyncIterator[DownloadSite]:
    site = DownloadSite()
    await site.server.start_server()
    yield site
    site.cut.set()
    await site.server.close()


@pytest.fixture
async def fetcher(site: DownloadSite) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher([site.url + "v1/ignored"], resolver=no_resolver, timeout_seconds=5)
    yield fetcher
    await fetcher.close()


async def no_resolver(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


async def fetch(fetcher: Fetcher, url: str, max_bytes: int = 10_000) -> FetchedFile:
    return await fetcher.fetch(url, max_bytes=max_bytes, is_trusted=True)


async def refusal(fetcher: Fetcher, url: str, max_bytes: int = 10_000) -> EaselError:
    with pytest.raises(EaselError) as refused:
        await fetch(fetcher, url, max_bytes)
    return refused.value


async def test_a_file_is_fetched_from_a_configured_origin(site: DownloadSite, fetcher: Fetcher) -> None:
    assert await fetch(fetcher, site.url + "file") == FetchedFile(BODY, "image/png")
    await fetch(fetcher, site.url + "file")

    assert [request.headers["Accept-Encoding"] for request in site.requests] == ["identity"] * 2
    assert not any("Cookie" in request.headers for request in site.requests)


async def test_a_backend_reaches_its_own_origin_alone(site: DownloadSite) -> None:
    fetcher = Fetcher(resolver=no_resolver)
    elsewhere = site.url.replace("127.0.0.1", "localhost")

    found = await fetcher.fetch(site.url + "file", max_bytes=10_000, is_trusted=True, origin=site.url + "v1")
    with pytest.raises(UnsafeAddress):
        await fetcher.fetch(site.url + "file", max_bytes=10_000, is_trusted=True, origin=elsewhere)
    with pytest.raises(UnsafeAddress):
        await fetcher.fetch(site.url + "file", max_bytes=10_000, origin=site.url)
    await fetcher.close()

    assert found.data == BODY
    assert len(site.requests) == 1


async def test_a_user_may_not_name_a_configured_origin(site: DownloadSite, fetcher: Fetcher) -> None:
    with pytest.raises(UnsafeAddress):
        await fetcher.fetch(site.url + "file", max_bytes=10_000)

    assert site.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x", "https://169.254.169.254/latest/meta-data/", "https://[::ffff:127.0.0.1]/", "https://[::1]/",
        "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://0.0.0.0/", "https://2130706433/",
        "https://0x7f.1/", "https://127.1/", "https://10.0.0.1/", "https://[fd00::1]/",
        "https://127.0.0.1./",
    ],
)  # fmt: skip
async def test_private_addresses_are_refused_in_one_sentence(fetcher: Fetcher, url: str) -> None:
    error = await refusal(fetcher, url)

    assert isinstance(error, UnsafeAddress)
    assert str(error) == PRIVATE


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1/x", "I only follow links that begin with https://."),
        ("ftp://example.com/x", "I only follow links that begin with https://."),
        ("file:///etc/passwd", "I only follow links that begin with https://."),
        ("not a link", "I only follow links that begin with https://."),
        ("https://ann:secret@example.com/", "I do not follow links with a user name in them."),
        ("https://example.com:22/", "I do not follow links to unusual ports."),
        ("https://[fe80::1%25eth0]/", None),
        ("https://exa\x00mple.com/", "That is not an address I can read."),
        ("https://0177.0.0.1/", "That is not an address I can read."),
        ("https://１２７.0.0.1/", "That is not an address I can read."),
        ("https://[::1/", "That is not an address I can read."),
    ],
)
async def test_strange_links_are_refused_in_one_sentence(fetcher: Fetcher, url: str, sentence: str | None) -> None:
    error = await refusal(fetcher, url)

    assert isinstance(error, UnsafeAddress)
    assert sentence is None or str(error) == sentence


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["10.0.0.1", "::1"], ["::ffff:10.0.0.1"], ["fe80::1%eth0"], []])
async def test_a_name_that_leads_to_a_private_address_is_refused(answers: list[str]) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return answers

    error = await refusal(Fetcher(resolver=resolver), "https://innocent.example/")

    assert str(error) == PRIVATE


async def test_names_are_resolved_by_the_system() -> None:
    assert str(await refusal(Fetcher(), "https://localhost/")) == PRIVATE


async def test_a_redirect_to_loopback_is_refused(site: DownloadSite, fetcher: Fetcher) -> None:
    site.redirect_to = "https://127.0.0.1/secret"

    assert str(await refusal(fetcher, site.url + "redirect")) == PRIVATE


async def test_a_redirect_to_another_port_is_refused(site: DownloadSite, fetcher: Fetcher) -> None:
    site.redirect_to = "http://127.0.0.1:9/secret"

    assert isinstance(await refusal(fetcher, site.url + "redirect"), UnsafeAddress)


async def test_a_redirect_to_nonsense_is_refused(site: DownloadSite, fetcher: Fetcher) -> None:
    site.redirect_to = "https://[::1"

    assert isinstance(await refusal(fetcher, site.url + "redirect"), Unavailable)


async def test_an_endless_address_is_refused(fetcher: Fetcher) -> None:
    assert str(await refusal(fetcher, "https://example.com/" + "x" * 5000)) == "That address is too long."


async def test_redirects_end_after_three(site: DownloadSite, fetcher: Fetcher) -> None:
    site.redirect_to = site.url + "redirect"

    assert str(await refusal(fetcher, site.url + "redirect")) == "That address leads to another again and again."
    assert len(site.requests) == 4


async def test_a_redirect_within_a_configured_origin_is_followed(site: DownloadSite, fetcher: Fetcher) -> None:
    site.redirect_to = "/file"

    assert (await fetch(fetcher, site.url + "redirect")).data == BODY


async def test_a_missing_file_raises_output_gone(site: DownloadSite, fetcher: Fetcher) -> None:
    assert isinstance(await refusal(fetcher, site.url + "gone"), OutputGone)


async def test_a_server_error_is_unavailable(site: DownloadSite, fetcher: Fetcher) -> None:
    for what in ("down", "broken"):
        assert isinstance(await refusal(fetcher, site.url + what), Unavailable)


async def test_an_unreachable_server_is_unavailable(site: DownloadSite) -> None:
    fetcher = Fetcher(["http://127.0.0.1:9"])

    assert isinstance(await refusal(fetcher, "http://127.0.0.1:9/x"), Unavailable)
    await fetcher.close()


async def test_a_refusal_names_the_status(site: DownloadSite, fetcher: Fetcher) -> None:
    assert str(await refusal(fetcher, site.url + "forbidden")) == (
        "That address does not give me the file (it answers 403)."
    )


async def test_a_file_with_too_large_a_content_length_is_not_read(site: DownloadSite, fetcher: Fetcher) -> None:
    error = await refusal(fetcher, site.url + "file", max_bytes=1000)

    assert isinstance(error, BadFile)
    assert str(error) == "That file is too large: at most 1000 bytes, please."


async def test_a_file_without_end_is_cut_at_the_limit(site: DownloadSite, fetcher: Fetcher) -> None:
    error = await refusal(fetcher, site.url + "endless", max_bytes=3 * 1024 * 1024)

    assert str(error) == "That file is too large: at most 3 MB, please."


async def test_a_compressed_response_is_refused(site: DownloadSite, fetcher: Fetcher) -> None:
    error = await refusal(fetcher, site.url + "gzip", max_bytes=100_000)

    assert str(error) == "That address sends the file compressed, although I asked it not to."


async def test_a_dripping_file_is_given_up(site: DownloadSite) -> None:
    fetcher = Fetcher([site.url], timeout_seconds=0.2)

    error = await refusal(fetcher, site.url + "drip")

    assert str(error) == "That address took too long to answer. Please try again."
    await fetcher.close()


async def test_a_file_inside_its_address_is_decoded_within_the_limit(fetcher: Fetcher) -> None:
    url = "data:image/png;base64," + base64.b64encode(BODY).decode()

    assert await fetch(fetcher, url) == FetchedFile(BODY, "image/png")
    assert await fetch(fetcher, "data:,hello%20you") == FetchedFile(b"hello you", "text/plain")
    assert str(await refusal(fetcher, url, max_bytes=1000)) == "That file is too large: at most 1000 bytes, please."
    assert str(await refusal(fetcher, "data:image/png;base64,a")) == "That data: address is not complete."
    assert str(await refusal(fetcher, "data:image/png")) == "That data: address is not complete."


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts of the server pictures.example and of a client with its certificate."""
    return make_contexts(tmp_path, "pictures.example")


class RebindingResolver:
    """A resolver that answers with a public address once, and with a private address afterwards."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return ["127.0.0.1"] if self.asked == 1 else ["169.254.169.254"]


@pytest.fixture
async def secure(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[DownloadSite]:
    site = DownloadSite()
    await site.server.start_server(ssl=certificate[0])
    yield site
    await site.server.close()


async def test_the_connection_goes_to_the_checked_address_under_the_name_asked_for(
    secure: DownloadSite, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    port, resolver = secure.server.port, RebindingResolver()
    assert port is not None
    fetcher = Fetcher(resolver=resolver, is_allowed=lambda a: a.is_loopback, port=port, tls=certificate[1])

    assert (await fetcher.fetch(f"https://pictures.example:{port}/file", max_bytes=10_000)).data == BODY

    assert resolver.asked == 1
    assert secure.requests[0].headers["Host"] == f"pictures.example:{port}"
    # The second look-up leads elsewhere, which is refused before any connection.
    with pytest.raises(UnsafeAddress, match="private or local"):
        await fetcher.fetch(f"https://pictures.example:{port}/file", max_bytes=10_000)
    await fetcher.close()


async def test_a_certificate_for_another_name_is_refused(
    secure: DownloadSite, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    port = secure.server.port
    assert port is not None
    fetcher = Fetcher(resolver=RebindingResolver(), is_allowed=lambda a: a.is_loopback, port=port, tls=certificate[1])

    with pytest.raises(Unavailable):
        await fetcher.fetch(f"https://other.example:{port}/file", max_bytes=10_000)

    assert secure.requests == []
    await fetcher.close()


async def test_a_redirect_from_a_stranger_to_a_configured_origin_is_refused(
    site: DownloadSite, secure: DownloadSite, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    port = secure.server.port
    assert port is not None
    secure.redirect_to = site.url + "file"
    fetcher = Fetcher(
        [site.url], resolver=RebindingResolver(), is_allowed=lambda a: a.is_loopback, port=port, tls=certificate[1]
    )

    assert isinstance(await refusal(fetcher, f"https://pictures.example:{port}/redirect"), UnsafeAddress)

    assert site.requests == []
    await fetcher.close()


async def test_headers_are_not_sent_to_another_origin(
    site: DownloadSite, secure: DownloadSite, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    port = secure.server.port
    assert port is not None
    site.redirect_to = f"https://pictures.example:{port}/file"
    fetcher = Fetcher(
        [site.url], resolver=RebindingResolver(), is_allowed=lambda a: a.is_loopback, port=port, tls=certificate[1]
    )

    await fetcher.fetch(site.url + "redirect", max_bytes=10_000, is_trusted=True, headers={"Authorization": "Bearer s"})

    assert site.requests[0].headers["Authorization"] == "Bearer s"
    assert "Authorization" not in secure.requests[0].headers
    await fetcher.close()
