"""The real client library against a local stand-in for the Hub."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from discover_models.errors import ConfigError, UsageError
from discover_models.sources.config_file import ConfigFile
from discover_models.sources.hub import HubClient
from hub_server import Fault, HubServer, Repository, running

CONFIG = b'{"model_type": "mini", "hidden_size": 64}'
SHA = "a" * 40


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    yield
    close_session()  # it keeps what it was told of the environment


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with running() as server:
        server.repositories["org/mini"] = Repository({"config.json": CONFIG})
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def client(hub: HubServer, tmp_path: Path, time: Time) -> HubClient:
    return HubClient(
        cache_dir=tmp_path / "cache", endpoint=hub.url, sleep=time.sleep, clock=time.clock
    )


def refusal(client: HubClient, repo_id: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        client.fetch(repo_id)
    return caught.value


def test_the_files_and_the_commit_they_are_from(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/quantised"] = Repository(
        {
            "config.json": CONFIG,
            "hf_quant_config.json": b'{"quant_algo": "NVFP4"}',
            "params.json": b'{"dim": 64}',
            "modeling.py": b"raise SystemExit",
        }
    )
    found = client.fetch("org/quantised")
    assert found == ConfigFile(
        hf_repo_id="org/quantised",
        revision=SHA,
        origin="hub",
        config=json.loads(CONFIG),
        quant={"quant_algo": "NVFP4"},
        params={"dim": 64},
    )
    assert not any("modeling.py" in path for path in hub.paths())


def test_a_repository_in_mistral_s_own_format(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/own"] = Repository({"params.json": b'{"dim": 64}'})
    found = client.fetch("org/own")
    assert (found.config, found.params) == (None, {"dim": 64})


def test_a_file_is_fetched_once_per_commit(hub: HubServer, client: HubClient) -> None:
    client.fetch("org/mini")
    client.fetch("org/mini", revision=SHA)
    assert hub.paths().count(f"GET /org/mini/resolve/{SHA}/config.json") == 1
    hub.repositories["org/mini"] = Repository({"config.json": b'{"hidden_size": 65}'}, "b" * 40)
    moved = client.fetch("org/mini")
    assert (moved.revision, moved.config) == ("b" * 40, {"hidden_size": 65})


def test_a_commit_that_is_a_path_is_not_written_to(
    hub: HubServer, client: HubClient, tmp_path: Path
) -> None:
    hub.repositories["org/evil"] = Repository({"config.json": CONFIG}, sha="../../../../out")
    assert refusal(client, "org/evil").reason == "network"
    assert list(tmp_path.rglob("config.json")) == []


def test_gated_names_the_page_that_grants_access(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/gated"] = Repository({"config.json": CONFIG}, gated=True)
    error = refusal(client, "org/gated")
    assert error.reason == "gated"
    assert "https://huggingface.co/org/gated" in str(error)


def test_not_found_or_private(client: HubClient, time: Time) -> None:
    assert refusal(client, "org/nowhere").reason == "not_found"
    assert time.slept == []


def test_an_unknown_revision_is_not_found(client: HubClient) -> None:
    with pytest.raises(ConfigError) as caught:
        client.fetch("org/mini", revision="no-such-branch")
    assert caught.value.reason == "not_found"


def test_a_refused_token(hub: HubServer, tmp_path: Path) -> None:
    hub.bad_tokens.add("hf_wrong")
    error = refusal(HubClient(cache_dir=tmp_path, endpoint=hub.url, token="hf_wrong"), "org/mini")
    assert error.reason == "bad_token"
    assert "hf_wrong" not in str(error)


def test_a_diffusion_pipeline(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/paints"] = Repository({"model_index.json": b"{}"})
    assert refusal(client, "org/paints").reason == "not_a_language_model"


def test_a_repository_without_configuration(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/weights"] = Repository({"weights.gguf": b""})
    assert refusal(client, "org/weights").reason == "no_configuration"


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff\xfe\x00", b"[1]", b"[" * 100_000, b""])
def test_malformed(hub: HubServer, client: HubClient, content: bytes) -> None:
    hub.repositories["org/broken"] = Repository({"config.json": content})
    assert refusal(client, "org/broken").reason == "malformed"


def test_an_absurd_size_is_refused_before_it_is_fetched(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/huge"] = Repository(
        {"config.json": CONFIG}, claimed_sizes={"config.json": 10**9}
    )
    assert refusal(client, "org/huge").reason == "malformed"
    assert not any("resolve" in path for path in hub.paths())


@pytest.mark.parametrize("path", ["/api/models/", "/resolve/"])
@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "7"}, 7),
        (429, {"RateLimit": '"api";r=0;t=41'}, 42),
        (429, {}, 1),
        (503, {}, 1),
    ],
)
def test_waiting_as_the_answer_says(
    hub: HubServer,
    client: HubClient,
    time: Time,
    path: str,
    status: int,
    headers: dict[str, str],
    wait: int,
) -> None:
    hub.faults.append(Fault(path, status, headers))
    assert client.fetch("org/mini").revision == SHA
    assert time.slept == [wait]


def test_a_date_to_wait_for(hub: HubServer, client: HubClient, time: Time) -> None:
    hub.faults.append(Fault("/api/models/", 429, {"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}))
    assert client.fetch("org/mini").revision == SHA
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    hub.faults.append(Fault("/api/models/", 429, {"Retry-After": date}))
    error = refusal(client, "org/mini")
    assert error.reason == "rate_limited"
    assert time.slept == []


def test_a_list_of_models_is_waited_for_too(hub: HubServer, client: HubClient, time: Time) -> None:
    hub.faults.append(Fault("/api/models?", 429, {"Retry-After": "3"}))
    assert client.search("mini") == ["org/mini"]
    assert time.slept == [3]


def test_waiting_has_an_end(hub: HubServer, client: HubClient, time: Time) -> None:
    hub.faults.append(Fault("/api/models/", 429, {"Retry-After": "60"}, times=100))
    assert refusal(client, "org/mini").reason == "rate_limited"
    assert sum(time.slept) == 240


def test_a_server_that_keeps_failing(hub: HubServer, client: HubClient, time: Time) -> None:
    hub.faults.append(Fault("/api/models/", 502, times=100))
    assert refusal(client, "org/mini").reason == "network"
    assert time.slept == [1, 2, 4, 8]


def test_no_network(tmp_path: Path, time: Time) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = HubClient(cache_dir=tmp_path, endpoint=url, sleep=time.sleep, clock=time.clock)
        assert refusal(client, "org/mini").reason == "network"


def test_a_client_that_is_told_to_stay_offline(
    client: HubClient, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()
    assert refusal(client, "org/mini").reason == "network"
    assert time.slept == []


def test_a_cache_that_can_t_be_written(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    client = HubClient(cache_dir=tmp_path / "cache", endpoint=hub.url)
    assert refusal(client, "org/mini").reason == "unreadable"


def test_the_token_goes_to_the_hub_and_to_nobody_else(hub: HubServer, tmp_path: Path) -> None:
    with running() as store:
        store.repositories["org/far"] = Repository({"config.json": CONFIG})
        # Another name of this machine is another host to the client.
        elsewhere = store.url.replace("127.0.0.1", "localhost")
        hub.repositories["org/far"] = Repository({"config.json": CONFIG}, redirected_to=elsewhere)
        client = HubClient(cache_dir=tmp_path, endpoint=hub.url, token="hf_secret")
        assert client.fetch("org/far").config == json.loads(CONFIG)
        assert {r.authorization for r in hub.requests} == {"Bearer hf_secret"}
        assert {r.authorization for r in store.requests} == {None}


def test_anonymous_requests_carry_no_stored_token(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_from_the_environment")
    HubClient(cache_dir=tmp_path, endpoint=hub.url).fetch("org/mini")
    assert {r.authorization for r in hub.requests} == {None}


def test_many_at_once_keep_their_order_and_their_own_outcomes(
    hub: HubServer, client: HubClient
) -> None:
    names = [f"org/m{i}" for i in range(9)]
    for i, name in enumerate(names):
        hub.repositories[name] = Repository({"config.json": json.dumps({"i": i}).encode()})
    found = client.fetch_many([*names, "org/nowhere", "org/m0"])
    assert list(found) == [*names, "org/nowhere"]
    for i, name in enumerate(names):
        one = found[name]
        assert isinstance(one, ConfigFile)
        assert one.config == {"i": i}
    missing = found["org/nowhere"]
    assert isinstance(missing, ConfigError)
    assert missing.reason == "not_found"


def test_search(hub: HubServer, client: HubClient) -> None:
    hub.repositories["org/other"] = Repository({})
    assert client.search("MINI") == ["org/mini"]
    assert client.search("nothing-like-it") == []


def test_an_id_of_another_form_is_never_asked_for(hub: HubServer, client: HubClient) -> None:
    with pytest.raises(UsageError):
        client.fetch("../etc")
    assert hub.requests == []
