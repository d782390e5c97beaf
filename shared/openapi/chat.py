"""Chat completions and text completions."""

from shared import Json
from shared.inference.operations import CHAT_COMPLETIONS, COMPLETIONS
from shared.openapi.endpoint import EVENTS, JSON, Answer, Endpoint, Example, inference
from shared.openapi.schema import (
    any_of,
    anything,
    choice,
    constant,
    flag,
    listed,
    nullable,
    number,
    record,
    ref,
    text,
    whole,
)

TAG = "Chat"

SAMPLING: Json = {
    "temperature": nullable(number("How freely to choose: 0 to 2.")),
    "top_p": nullable(number("Choose among the most likely that make up this share.")),
    "n": nullable(whole("How many answers.", minimum=1)),
    "stop": any_of(
        text(), listed(text()), {"type": "null"}, description="Texts that end an answer, at most 4."
    ),
    "seed": nullable(whole("Equal seeds give answers as equal as the provider can make them.")),
    "presence_penalty": nullable(number("-2 to 2.")),
    "frequency_penalty": nullable(number("-2 to 2.")),
    "logit_bias": nullable(anything("Token ids, and how much more likely each becomes: -100 to 100.")),
    "user": text("Who this is for; kept in the records of usage."),
    "stream": nullable(flag("Answer in server-sent events.")),
    "stream_options": nullable(
        record({"include_usage": flag("A last chunk with `usage`."), "include_obfuscation": flag()})
    ),
}
STEERING: Json = {
    "timeout": nullable(
        number("Seconds for the whole call; only tightens. Not forwarded.", exclusiveMinimum=0)
    ),
    "max_retries": nullable(whole("Tries after the first; only tightens. Not forwarded.", minimum=0)),
    "fallbacks": nullable(listed(text(), "Models to ask instead, in order. Not forwarded.", maxItems=20)),
    "context_window_fallbacks": nullable(listed(text(), "The same where the text is too long.", maxItems=20)),
    "content_policy_fallbacks": nullable(listed(text(), "The same after a content filter.", maxItems=20)),
}
"""What a body may say to the proxy itself."""
MODEL = text("Id of a model or group, or a provider's code that one model has.")

SCHEMAS: Json = {
    "Message": record(
        {
            "role": text("`developer`, `system`, `user`, `assistant`, `tool`, …"),
            "content": any_of(
                text(),
                listed(ref("ContentPart")),
                {"type": "null"},
                description="Text, or parts: text, images, audio, files.",
            ),
            "name": text(),
            "tool_calls": listed(ref("ToolCall")),
            "tool_call_id": text("Of a `tool` message: the call that this is the result of."),
        },
        ("role",),
    ),
    "ContentPart": record(
        {
            "type": text("`text`, `image_url`, `input_audio`, `file`, …"),
            "text": text(),
            "image_url": record({"url": text("https: or data:"), "detail": text()}, ("url",)),
            "input_audio": record({"data": text("base64"), "format": text("wav or mp3")}, ("data", "format")),
            "file": anything(),
        },
        ("type",),
    ),
    "Tool": record({"type": text("`function`, …"), "function": ref("FunctionTool")}, ("type",)),
    "FunctionTool": record(
        {
            "name": text(),
            "description": text(),
            "parameters": anything("JSON Schema of the arguments."),
            "strict": nullable(flag()),
        },
        ("name",),
    ),
    "ToolCall": record(
        {
            "id": text(),
            "type": text(),
            "function": record({"name": text(), "arguments": text("JSON.")}, ("name", "arguments")),
        },
        ("id", "type"),
    ),
    "TokenUsage": record(
        {
            "prompt_tokens": whole(),
            "completion_tokens": whole(),
            "total_tokens": whole(),
            "prompt_tokens_details": nullable(record({"cached_tokens": nullable(whole())})),
            "completion_tokens_details": nullable(record({"reasoning_tokens": nullable(whole())})),
        },
        ("prompt_tokens", "total_tokens"),
    ),
    "ChatCompletionRequest": record(
        {
            "model": MODEL,
            "messages": listed(ref("Message"), "The conversation so far.", minItems=1, maxItems=2048),
            "max_completion_tokens": nullable(whole("Most tokens of an answer, reasoning included.")),
            "max_tokens": nullable(whole("The older name of the same.")),
            "tools": listed(ref("Tool")),
            "tool_choice": any_of(text(), anything(), description="`none`, `auto`, `required`, or one tool."),
            "parallel_tool_calls": flag(),
            "response_format": record(
                {"type": choice("text", "json_object", "json_schema"), "json_schema": anything()}, ("type",)
            ),
            "reasoning_effort": nullable(text("`none`, `minimal`, `low`, `medium`, `high`, …")),
            "verbosity": nullable(text("`low`, `medium` or `high`.")),
            "logprobs": nullable(flag()),
            "top_logprobs": nullable(whole(minimum=0, maximum=20)),
            "modalities": nullable(listed(text("`text` or `audio`."))),
            "audio": nullable(anything("Voice and format of a spoken answer.")),
            "prediction": nullable(anything("Text that much of the answer is expected to repeat.")),
            "web_search_options": anything(),
            "service_tier": nullable(text()),
            "store": nullable(flag()),
            "metadata": nullable(anything()),
            "prompt_cache_key": text(),
            "safety_identifier": text(),
            "functions": listed(anything(), "The older form of `tools`."),
            "function_call": any_of(text(), anything(), description="The older form of `tool_choice`."),
            **SAMPLING,
            **STEERING,
        },
        ("messages",),
        "What is not named here travels on to the provider.",
    ),
    "ChatCompletion": record(
        {
            "id": text(),
            "object": constant("chat.completion"),
            "created": whole("Seconds since 1970."),
            "model": text("What the provider called it; `x-llmproxy-model` names the one that answered."),
            "choices": listed(
                record(
                    {
                        "index": whole(),
                        "message": record(
                            {
                                "role": text(),
                                "content": nullable(text()),
                                "refusal": nullable(text()),
                                "tool_calls": listed(ref("ToolCall")),
                            },
                            ("role",),
                        ),
                        "finish_reason": text("`stop`, `length`, `tool_calls`, `content_filter`, …"),
                        "logprobs": nullable(anything()),
                    },
                    ("index", "message", "finish_reason"),
                )
            ),
            "usage": ref("TokenUsage"),
        },
        ("id", "object", "created", "model", "choices"),
    ),
    "ChatCompletionChunk": record(
        {
            "id": text("The same in all chunks."),
            "object": constant("chat.completion.chunk"),
            "created": whole(),
            "model": text(),
            "choices": listed(
                record(
                    {
                        "index": whole(),
                        "delta": record({"role": text(), "content": nullable(text())}),
                        "finish_reason": nullable(text()),
                    },
                    ("index", "delta"),
                ),
                "Empty in the chunk that has `usage`.",
            ),
            "usage": nullable(ref("TokenUsage")),
        },
        ("id", "object", "created", "model", "choices"),
        "One event. The stream ends with `data: [DONE]`; one that is cut ends with "
        '`data: {"error": {…}}` and without it.',
    ),
    "CompletionRequest": record(
        {
            "model": MODEL,
            "prompt": any_of(
                text(), listed(any_of(text(), whole(), listed(whole()))), description="Text, texts or tokens."
            ),
            "suffix": nullable(text("Text that follows the answer.")),
            "max_tokens": nullable(whole("Most tokens of an answer.")),
            "best_of": nullable(whole()),
            "echo": nullable(flag("Repeat the prompt.")),
            "logprobs": nullable(whole()),
            **SAMPLING,
            **STEERING,
        },
        ("prompt",),
    ),
    "Completion": record(
        {
            "id": text(),
            "object": constant("text_completion"),
            "created": whole(),
            "model": text(),
            "choices": listed(
                record(
                    {
                        "index": whole(),
                        "text": text(),
                        "finish_reason": nullable(text()),
                        "logprobs": nullable(anything()),
                    },
                    ("index", "text"),
                )
            ),
            "usage": nullable(ref("TokenUsage")),
        },
        ("id", "object", "created", "model", "choices"),
    ),
}

_HELLO: Json = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
_WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
_CITY: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}

ENDPOINTS: tuple[Endpoint, ...] = (
    inference(
        CHAT_COMPLETIONS,
        function="chat_completions",
        id="createChatCompletion",
        tag=TAG,
        summary="Answer a conversation",
        text="JSON, or server-sent events with `stream: true`: tools, JSON schemas, images and audio in messages, "
        "log probabilities, several answers at once.",
        request=ref("ChatCompletionRequest"),
        examples=(
            Example("plain", "A question", _HELLO),
            Example("streamed", "The same in events", {**_HELLO, "stream": True}),
            Example(
                "tools",
                "A tool is offered",
                {
                    "model": "demo-chat",
                    "messages": [{"role": "user", "content": "How is the weather in Lima?"}],
                    "tools": [_WEATHER],
                },
            ),
            Example(
                "schema",
                "JSON that fits a schema",
                {
                    "model": "demo-chat",
                    "messages": [{"role": "user", "content": "Name a city."}],
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "city", "strict": True, "schema": _CITY},
                    },
                },
            ),
        ),
        answers=(Answer("The answer.", {JSON: ref("ChatCompletion"), EVENTS: ref("ChatCompletionChunk")}),),
    ),
    inference(
        COMPLETIONS,
        function="completions",
        id="createCompletion",
        tag=TAG,
        summary="Complete a text",
        text="The older interface, for programs that use it. JSON, or server-sent events with `stream: true`.",
        request=ref("CompletionRequest"),
        examples=(
            Example("plain", "A text to go on with", {"model": "demo-chat", "prompt": "Once upon a time"}),
            Example(
                "streamed",
                "The same in events",
                {"model": "demo-chat", "prompt": "Once upon a time", "stream": True},
            ),
        ),
        answers=(Answer("The answer.", {JSON: ref("Completion"), EVENTS: ref("Completion")}),),
    ),
)
