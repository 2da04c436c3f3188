"""The mobile backend on x86-64 processors that Bochs emulates, with AVX-512 and without AVX2.

Emulation proves that no instruction is illegal and that results are right; it tells nothing about speed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bochs
import mobile_batches
from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge_mobile.library import library_path
from mobile_kernels import mobile_backend
from reference_answers import check_answers

pytestmark = pytest.mark.emulated

SELECTED_ISA = {
    "corei7_icelake_u": "avx512_vnni",
    "corei7_haswell_4770": "avx2",
    "corei7_sandy_bridge_2600k": "portable",
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the system lies that runs `mobile_batches`."""
    problem = bochs.missing()
    if problem is not None:
        pytest.skip(f"not installed: {problem}")
    mobile_backend()
    folder = tmp_path_factory.mktemp("x86_64")
    bochs.pack(Path(mobile_batches.__file__), library_path(), folder)
    return folder


@cache
def expected_product() -> np.ndarray[Any, Any]:
    """Return what NumPy makes of the matrix and the tokens."""
    packed, x = mobile_batches.matrix_and_tokens()
    return np.asarray(x.astype(np.float64) @ dequantize(packed, GGMLType.Q1_0).T)


@pytest.mark.parametrize("cpu", SELECTED_ISA)
def test_products_batches_and_answers_are_right(image: Path, cpu: str) -> None:
    found = json.loads(bochs.run(image, cpu, timeout_s=1200))
    assert found["isa"] == SELECTED_ISA[cpu]
    np.testing.assert_allclose(found["product"], expected_product(), rtol=1e-5, atol=1e-3)
    no_row = {str(size): 0 for size in mobile_batches.BATCHES}
    assert found["product_rows_that_differ"] == no_row
    assert found["step_rows_that_differ"] == no_row
    check_answers(found["texts"], found["logits"])
