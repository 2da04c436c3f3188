import pytest

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.memory.size import parse_size


@pytest.mark.parametrize(
    ("written", "num_bytes"),
    [
        ("1.5GiB", 3 << 29),
        ("1.5G", 3 << 29),
        (" 1.5 gib ", 3 << 29),
        ("800MB", 800_000_000),
        ("800M", 800 << 20),
        ("64k", 64 << 10),
        (".5TiB", 1 << 39),
        ("1048576", 1 << 20),
        ("1048576B", 1 << 20),
        (1048576, 1 << 20),
    ],
)
def test_sizes_are_read_as_people_write_them(written, num_bytes):
    assert parse_size(written) == num_bytes


@pytest.mark.parametrize(
    "written", ["", "much", "1.5.0G", "-1G", "1 G B", "1e9", "0", "0.0001k", "100XB", "9" * 19, 0, -5]
)
def test_what_is_no_amount_is_refused_with_examples(written):
    with pytest.raises(InvalidRequestError) as caught:
        parse_size(written)
    assert str(caught.value) == (
        f"{written!r} is not an amount of memory. Write it as 1.5GiB, 1.5G, 800MB, or a number of bytes."
        if isinstance(written, str)
        else f"'{written}' is not an amount of memory. Write it as 1.5GiB, 1.5G, 800MB, or a number of bytes."
    )
