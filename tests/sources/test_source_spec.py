import pytest

from discover_models.errors import UsageError
from discover_models.sources.source_spec import DEFAULT_SOURCES, merge_sources, parse_source


@pytest.mark.parametrize(
    ("text", "url", "revision"),
    [
        ("sglang=https://github.com/a/b", "https://github.com/a/b", ""),
        ("sglang=https://github.com/a/b@main", "https://github.com/a/b", "main"),
        ("sglang=https://github.com/a/b@release/v1.2", "https://github.com/a/b", "release/v1.2"),
        ("sglang=file:///srv/x@" + "a" * 40, "file:///srv/x", "a" * 40),
        ("sglang=file:///srv/a%40b/x", "file:///srv/a%40b/x", ""),
        ("sglang=/srv/x y", "file:///srv/x%20y", ""),
        ("sglang=/srv/x@v1", "file:///srv/x", "v1"),
    ],
)
def test_settings(text: str, url: str, revision: str) -> None:
    spec = parse_source(text)
    assert (spec.name, spec.url, spec.revision) == ("sglang", url, revision)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sglang", "NAME=URL"),
        ("vllm=https://github.com/a/b", "vllm"),
        ("sglang=http://github.com/a/b", "https://"),
        ("sglang=ssh://git@github.com/a/b", "https://"),
        ("sglang=git@github.com:a/b", "https://"),
        ("sglang=ext::sh -c x", "https://"),
        ("sglang=--upload-pack=touch x", "https://"),
        ("sglang=https://", "host"),
        ("sglang=https://[x", "https://"),
        ("sglang=https://github.com/a b", "https://"),
        ("sglang=https://github.com/a/b@--upload-pack=x", "branch"),
        ("sglang=https://github.com/a/b@", "branch"),
        ("sglang=https://github.com/a/b@x..y", "branch"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_source(text)


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="credentials") as caught:
        parse_source("sglang=https://user:s3cret@github.com/a/b")
    assert "s3cret" not in str(caught.value)


def test_settings_replace_defaults_and_the_last_one_wins() -> None:
    merged = merge_sources(("flashinfer=/a", "flashinfer=/b"))
    assert [s.name for s in merged] == [s.name for s in DEFAULT_SOURCES]
    assert merged[1].url == "file:///b"
    assert merged[0] == DEFAULT_SOURCES[0]
