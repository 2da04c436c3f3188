from pathlib import Path

import pytest

from bonsai_edge import backend
from bonsai_edge_cpu import compilation


def test_the_cache_is_another_one_when_a_constant_of_core_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compilation._source_hash()
    edited = tmp_path / "backend.py"
    edited.write_text(Path(str(backend.__file__)).read_text().replace("KV_PAGE_TOKENS = 32", "KV_PAGE_TOKENS = 16"))
    monkeypatch.setattr(backend, "__file__", str(edited))
    assert compilation._source_hash() != before
