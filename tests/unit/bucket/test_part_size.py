"""Parts of an upload: as configured while that suffices, larger for what would need more than S3 allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wbagent.bucket.s3_upload import part_size_for

MIB = 1 << 20


def test_as_configured_for_what_is_small() -> None:
    assert part_size_for(0, 16 * MIB) == 16 * MIB
    assert part_size_for(50 << 30, 16 * MIB) == 16 * MIB
    assert part_size_for(0, 1) == 5 * MIB


@given(st.integers(min_value=0, max_value=20 << 40), st.integers(min_value=1, max_value=1 << 30))
def test_everything_fits_twice_into_ten_thousand_parts(largest: int, configured: int) -> None:
    size = part_size_for(largest, configured)
    assert 5 * MIB <= size <= 5 << 30
    assert size * 10_000 >= 2 * largest
