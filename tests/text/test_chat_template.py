from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from bonsai_edge.errors import InvalidRequestError, MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.generation import Message
from bonsai_edge.text.chat_template import ChatTemplate
from chat_templates import THINKING_TEMPLATE
from gguf_files import CHATML_TEMPLATE, Vocabulary

PATH = Path("model.gguf")
HELLO = [Message("user", "hello")]


def render(source: str, messages: list[Message] = HELLO) -> str:
    return ChatTemplate(source).render(messages, add_generation_prompt=False)


def test_chatml_conversation() -> None:
    template = ChatTemplate(CHATML_TEMPLATE)
    messages = [Message("system", "Be brief."), *HELLO]
    turns = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n"
    assert template.render(messages) == turns + "<|im_start|>assistant\n"
    assert template.render(messages, add_generation_prompt=False) == turns


def test_bonsai_opens_the_answer_with_an_empty_thought_and_adds_no_system_prompt() -> None:
    assert ChatTemplate(THINKING_TEMPLATE).render(HELLO) == (
        "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_past_thoughts_are_dropped_and_current_ones_kept() -> None:
    answer = Message("assistant", "<think>\nhm\n</think>\n\nyes")
    past = render(THINKING_TEMPLATE, [Message("user", "one"), answer, Message("user", "two")])
    assert past == (
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\ntwo<|im_end|>\n"
    )
    current = render(THINKING_TEMPLATE, [Message("user", "one"), answer, Message("tool", "1"), Message("tool", "2")])
    assert current == (
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nyes<|im_end|>\n"
        "<|im_start|>user\n<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response><|im_end|>\n"
    )


def test_tools_are_written_as_plain_json() -> None:
    template = ChatTemplate(THINKING_TEMPLATE)
    text = template.render([Message("system", "Be brief."), *HELLO], tools=[{"name": "größer", "when": "a < b & c"}])
    assert text.startswith(
        '<|im_start|>system\nBe brief.\n\nTools:\n{"name": "größer", "when": "a < b & c"}<|im_end|>\n'
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% if true %}\n  a\n  {% endif %}\nb", "  a\nb"),  # blocks leave no line behind
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{% endfor %}", "1/1True"),
        ("{{ {'b': 1, 'a': [true, none]} | tojson }}", '{"b": 1, "a": [true, null]}'),
        ("{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}", '{\n "a": 2,\n "b": 1\n}'),
        ("{{ '<b>' }}{{ messages[0].content }}{{ missing }}", "<b>hello"),
        ("{{ '-' * 3 }}{{ 6 * 7 }}", "---42"),
        ("{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice('a') }}", "aa"),
        ("{{ 'a' ~ 1 ~ missing ~ none }}{{ 1 + 2 }}{{ ([1] + [2]) | length }}{{ 7 % 4 }}", "a1None323"),
        ("{{ '%s is %05.1f%%' % ('x', 2) }}{{ '%(a)d' | format(a=3) }}", "x is 002.0%3"),
        ("{{ '{:>4}|{a[content]}'.format(1, a=messages[0]) }}", "   1|hello"),
        ("{{ 'a' | center(3) }}{{ 'b'.ljust(2) }}{{ '7'.zfill(3) }}{{ 'x\ny' | indent(2) }}", " a b 007x\n  y"),
        ("{{ 'aba'.replace('a', 'cc') }}{{ 'aba' | replace('a', 'd', count=1) }}", "ccbccdba"),
        ("{{ ', '.join(['a', 'b']) }}{{ [1, 2] | join('-') }}{{ messages | join(attribute='role') }}", "a, b1-2user"),
        ("{{ 'a,b'.split(',')[-1] }}{{ 'hello'[1:3] }}{{ messages[::-1][0].content }}", "belhello"),
        ("{% set x %}{{ 1.26 | round(1) }}{% endset %}{{ x }}{{ [1, 2] | sum }}{{ [1, 'a'] }}", "1.33[1, 'a']"),
        ("{% filter upper %}a{% endfilter %}{% set ns = namespace(n=1) %}{{ ns.n }}", "A1"),
    ],
)
def test_dialect_is_that_of_hugging_face(source: str, expected: str) -> None:
    assert render(source) == expected


def test_today_is_known() -> None:
    assert render("{{ strftime_now('%Y') }}") == str(datetime.now().year)


def test_template_and_token_texts_come_from_the_file(
    metadata: dict[str, MetadataValue], vocabulary: Vocabulary
) -> None:
    metadata["tokenizer.chat_template"] = "{{ bos_token }}|{{ eos_token }}"
    template = ChatTemplate.from_metadata(metadata, PATH)
    assert template is not None
    assert template.render(HELLO) == "<|endoftext|>|<|im_end|>"
    del metadata["tokenizer.ggml.bos_token_id"]
    template = ChatTemplate.from_metadata(metadata, PATH)
    assert template is not None
    assert template.render(HELLO) == "|<|im_end|>"


def test_file_without_template_has_none(metadata: dict[str, MetadataValue]) -> None:
    del metadata["tokenizer.chat_template"]
    assert ChatTemplate.from_metadata(metadata, PATH) is None


def test_template_that_is_no_text_is_refused(metadata: dict[str, MetadataValue]) -> None:
    metadata["tokenizer.chat_template"] = 1
    with pytest.raises(MalformedModelError, match=r"Key 'tokenizer.chat_template' of model.gguf should hold text"):
        ChatTemplate.from_metadata(metadata, PATH)


def test_conversation_without_messages_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ChatTemplate(CHATML_TEMPLATE).render([])
    assert caught.value.cause == "There are no messages to answer."


def test_messages_that_the_template_refuses_are_the_users_mistake() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        render("{{ raise_exception('Roles must alternate.') }}")
    assert caught.value.cause == "The model's chat template refuses these messages: Roles must alternate."


def test_too_long_conversation_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        render(CHATML_TEMPLATE, [Message("user", "a" * (1 << 20))] * 2)
    assert caught.value.cause == "The chat template made the conversation longer than 2097152 characters."


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{", "cannot be compiled: TemplateSyntaxError: unexpected 'end of template'"),
        ("{% generation %}", "cannot be compiled: TemplateSyntaxError: Encountered unknown tag 'generation'."),
        (
            "{{ [1] | batch(1500000000, 0) | list }}",
            "cannot be compiled: TemplateAssertionError: No filter named 'batch'.",
        ),
        ("{{ x | nothing }}", "cannot be compiled: TemplateAssertionError: No filter named 'nothing'."),
        ("{{ " + "(" * 6000 + "1" + ")" * 6000 + " }}", "cannot be compiled: RecursionError: "),
        ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, "cannot be compiled: RecursionError: "),
        (" " * 65537, "has 65537 characters, at most 65536 are supported"),
    ],
    ids=["syntax", "unknown tag", "removed filter", "unknown filter", "parentheses", "blocks", "size"],
)
def test_template_that_cannot_be_compiled_is_refused(source: str, reason: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        ChatTemplate(source)
    assert caught.value.cause.startswith(f"The model's chat template {reason}")
    assert len(caught.value.cause) < 300


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__']['__base__'] }}",
        "{{ messages | attr('__class__') | attr('__init__') }}",
        "{{ raise_exception.__globals__ }}",
        "{{ namespace.__init__.__globals__['os'].system('true') }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context.environment.compile('1') }}",
        "{{ '{0.__class__.__mro__}'.format(1) }}",
        "{{ ('{0.__class__.__mro__}' | attr('format'))(1) }}",
        "{% set format = '{0.__class__}'.format %}{{ format(1) }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='system') }}",
        "{{ strftime_now.__closure__[0] }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os.system('true') }}",
        "{% extends 'x' %}",
    ],
)
def test_template_cannot_leave_the_sandbox(source: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        render(source)
    assert caught.value.cause.startswith("The model's chat template failed on these messages: ")


@pytest.mark.parametrize(
    "source",
    [
        "{{ range(10**9) | list }}",
        "{% for i in range(999999999) %}{% endfor %}",
        "{% for i in range(900) %}{% for j in range(900) %}{% endfor %}{% endfor %}",
        "{% set r = range(900) %}{% for i in r %}{% for j in r %}{% for k in r %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set s = 'a' * 9000 %}{% for i in s %}{% for j in s %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{{ 'a' * 999999999 }}",
        "{{ [0] * 999999999 }}",
        "{{ 999999 ** 999999 }}",
        "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content + 1 }}",
        "{{ messages.nothing.at_all }}",
        "{{ lipsum(999999) }}",
    ],
)
def test_endless_or_failing_template_is_stopped_soon(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnsupportedModelError) as caught:
        render(source)
    assert caught.value.cause.startswith("The model's chat template failed on these messages: ")
    assert time.monotonic() - started < 10


HUGE = "{% set x = 'a' * 1000000 %}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' | center(10**9) }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ ['a'] | map('center', 1000000000) | list | length }}",
        "{{ ('a' | attr('center'))(1500000000) | length }}",
        "{{ '{:>1500000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 1500000000) }}",
        "{{ '{a:>1500000000}'.format_map({'a': 1}) }}",
        "{{ 'a'.ljust(1500000000) }}",
        "{{ 'a'.rjust(1500000000) | length }}",
        "{{ 'a'.zfill(1500000000) | length }}",
        "{{ '%01500000000d' % 1 }}",
        "{% if ('%01500000000d' % 1) | length %}{% endif %}",
        "{{ '%.1500000000f' % 1 }}",
        "{{ '%*d' % (1500000000, 1) }}",
        "{{ '%01500000000d' | format(1) }}",
        "{{ 'a\nb' | indent(1500000000) }}",
        "{{ {'a': 1} | tojson(indent=1500000000) }}",
        "{{ 1 | round(1500000000, 'ceil') }}",
        "{{ 'a\t'.expandtabs(1500000000) | length }}",
        "{{ (1).to_bytes(1500000000, 'big') | length }}",
        "{{ [[1]] | sum(start=[]) }}",
        "{{ namespace(x=1) }}",
        "{{ strftime_now('%c' * 1000) }}",
        HUGE + "{% for i in range(9999) %}{% set y = x[1:] %}{% endfor %}",
        HUGE + "".join(f"{{% set x{i} = x[{i}:] + 'b' %}}" for i in range(99)),
        HUGE + "{{ x.split('a') | length }}",
    ],
)
def test_template_that_asks_for_gigabytes_is_stopped_before_it_has_them(source: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught, within_a_second():
        render(source)
    with pytest.raises(UnsupportedModelError), within_50_mb():
        render(source)
    assert caught.value.cause.startswith("The model's chat template failed on these messages: ")


@pytest.mark.parametrize(
    "source",
    [
        HUGE + "{% set x = x ~ x %}" * 10 + "{{ x }}",
        HUGE + "{% set x = x + x %}" * 10 + "{{ x | length }}",
        HUGE + "{{ (" + " ~ ".join(["x"] * 2000) + ") | length }}",
        HUGE + "{{ x.replace('a', x) }}",
        HUGE + "{{ x | replace(new=x, old='a') }}",
        HUGE + "{{ x.join(x) }}",
        HUGE + "{{ [x, x, x] | join | length }}",
        HUGE + "{{ ([x] * 1000000) | map('string') | join }}",
        HUGE + "{{ ([messages[0]] * 1000000) | join(attribute='content') }}",
        HUGE + "{{ [[x] * 1000] * 1000 }}",
        HUGE + "{{ ([[x] * 1000] * 1000) | string | length }}",
        HUGE + "{{ '' ~ [[x] * 1000] * 1000 }}",
        HUGE + "{{ {'a': [x] * 1000}.values() }}",
        HUGE + "{{ [[x] * 1000] | tojson }}",
        HUGE + "{{ '%(x)s%(x)s%(x)s' % {'x': x} }}",
        HUGE + "{{ '{0}{0}{0}'.format(x) | length }}",
        HUGE + "{% macro m() %}" + "{{ x }}" * 999 + "{% endmacro %}{{ m() | length }}",
        HUGE + "{% set y %}{% for i in range(9999) %}{{ x }}{% endfor %}{% endset %}",
        "{% filter length %}{% for i in range(90000) %}" + "a" * 60000 + "{% endfor %}{% endfilter %}",
    ],
)
def test_text_too_long_on_the_way_is_stopped_before_it_is_made(source: str) -> None:
    with pytest.raises(InvalidRequestError) as caught, within_a_second():
        render(source)
    with pytest.raises(InvalidRequestError), within_50_mb():
        render(source)
    assert caught.value.cause == "The chat template made the conversation longer than 2097152 characters."


@contextmanager
def within_a_second() -> Iterator[None]:
    started = time.process_time()
    try:
        yield
    finally:
        assert time.process_time() - started < 1


@contextmanager
def within_50_mb() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 50e6


def test_steps_are_counted_for_each_conversation_anew() -> None:
    template = ChatTemplate("{% for i in range(150000) %}{% if i > 9 %}{% break %}{% endif %}{% endfor %}done")
    assert [template.render(HELLO) for _ in range(3)] == ["done"] * 3


def test_long_conversation_is_no_endless_one() -> None:
    messages = [Message("user", "a"), Message("assistant", "b")] * 1000
    text = ChatTemplate(THINKING_TEMPLATE).render(messages)
    assert text.count("<|im_start|>") == 2001
