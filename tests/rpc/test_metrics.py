"""Prometheus' view of a server, read by Prometheus' own parser, and the lines of the log."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.messages import Generate, Header
from rpc_requests import begin, expect_error, expect_rejection, expect_result, new_id

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer


def samples(text: str) -> dict[str, float]:
    """Return every sample by its name and the values of its labels."""
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_answers_rejections_tokens_and_times(client: Client, peer: RawPeer, model: FakeModel) -> None:
    model.run_freely()
    expect_result(peer, begin(peer, "abc", Header(stream="none")))
    expect_error(peer, begin(peer, "overflow"))
    client.halt()
    request_id = new_id()
    peer.send(Generate("late"), request_id)
    expect_rejection(peer, request_id)
    found = samples(client.metrics())
    assert found["bonsai_edge_answers_total,stop"] == 1
    assert found["bonsai_edge_answers_total,context_overflow"] == 1
    assert found["bonsai_edge_rejections_total,halted"] == 1
    assert found["bonsai_edge_tokens_total,generated"] == 3
    assert found["bonsai_edge_tokens_total,prompt"] == 3
    assert found["bonsai_edge_tokens_total,cached"] == 0
    assert found["bonsai_edge_prefill_seconds_count"] == found["bonsai_edge_queue_seconds_count"] == 1
    assert found["bonsai_edge_prefill_seconds_sum"] == 0.25
    assert found["bonsai_edge_decode_seconds_bucket,0.5"] == 1
    assert found["bonsai_edge_decode_seconds_bucket,0.25"] == 0
    assert found["bonsai_edge_decode_tokens_per_second_sum"] == 2.0
    assert (found["bonsai_edge_live"], found["bonsai_edge_ready"]) == (1.0, 0.0)
    assert found["bonsai_edge_rss_bytes"] > 1_000_000
    assert client.status().tokens == 3


def test_log_has_a_line_for_each_turn_of_a_request_and_no_text(
    peer: RawPeer, model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    model.run_freely()
    with caplog.at_level(logging.INFO):
        request_id = begin(peer, "secret words", Header(stream="none"))
        expect_result(peer, request_id)
    records = [record for record in caplog.records if record.name == "bonsai_edge.rpc.request_log"]
    assert [record.getMessage() for record in records] == ["Request accepted.", "Request ended."]
    assert {vars(record)["request_id"] for record in records} == {str(uuid.UUID(bytes=request_id))}
    assert vars(records[1])["finish_reason"] == "stop"
    assert vars(records[1])["completion_tokens"] == 12
    assert not any("secret" in str(vars(record)) for record in caplog.records)
