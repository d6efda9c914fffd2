"""The ids in stored events, which may be anybody's."""

import json

import pytest

from webhook.store.audit import id_of


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"id": "a-1", "type": "x"}', "a-1"),
        ('{"id": "\\u00e9"}', "é"),
        ('{"type": "x"}', None),
        ('{"id": null}', None),
        ('{"id": 5}', "5"),
        ('{"id": {"a": [true]}}', '{"a": [true]}'),
        ('{"id": "\\ud800"}', "\\ud800"),
        ('{"id": "a-1", "text": "\\ud83d"}', "a-1"),
        ('{"id": ["\\ud800"]}', '["\\ud800"]'),
        pytest.param('{"id": %s}' % ("1" * 5000), "1" * 5000, id="a long number"),
        pytest.param('{"a": "\\ud800", "id": %s}' % ("1" * 5000), "1" * 5000, id="both"),
        ("no JSON", None),
        ("[1]", None),
    ],
)
def test_every_id_is_a_text_that_can_be_written(body: str, name: str | None) -> None:
    found = id_of(body)
    assert found == name
    json.dumps(found).encode()
    (found or "").encode()
