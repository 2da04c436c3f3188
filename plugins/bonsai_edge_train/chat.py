"""The conversation format of seedling: ChatML, with a system message only when one is given."""

from __future__ import annotations

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)

END_OF_TURN = "<|im_end|>"
END_OF_TEXT = "<|endoftext|>"
SPECIAL_TOKENS = (END_OF_TEXT, "<|im_start|>", END_OF_TURN)


def open_turn(role: str) -> str:
    """Render the start of a turn as `CHAT_TEMPLATE` does; its content comes next."""
    return f"<|im_start|>{role}\n"


def render_turn(role: str, content: str) -> str:
    """Render a whole turn as `CHAT_TEMPLATE` does."""
    return f"{open_turn(role)}{content}{END_OF_TURN}\n"


def render_prompt(command: str, system: str | None = None) -> str:
    """Render one user turn as `CHAT_TEMPLATE` does, ending where the answer begins."""
    system_turn = render_turn("system", system) if system is not None else ""
    return f"{system_turn}{render_turn('user', command)}{open_turn('assistant')}"
