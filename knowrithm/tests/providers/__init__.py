"""Model providers on loopback: small servers that speak the real protocols, called through the real SDKs.

    with OpenAIServer(reply="Two years. [Source 1]") as server:
        config = ProviderConfig("openai", "gpt-4o-mini", api_key="k", base_url=server.base_url)

Loopback is private: set `OUTBOUND_ALLOW=127.0.0.1` for the process that calls. Each server is a context manager on a
free port and needs no pytest. All take the same keyword arguments, which are also attributes that may be changed while
it runs:

* `reply`: the answer, or a function of the request's JSON that returns it; sent word by word,
* `first_delay`, `token_delay`: seconds before the first and between two words,
* `required_key`: answer 401 to any other API key,
* `dimension`: length of the embeddings, which are made of the text's words (shared words: higher cosine),
* `cut_after`: drop the connection after so many words,
* `finish_reason`: why the answer ends, in the protocol's own word (None: its word for an ordinary end),
* `by_hand`: a function of the request's handler that writes whatever it likes, after which the connection is closed,
* `stream_error_after`: send the protocol's own error event after so many words.

`server.fail(503, "overloaded", times=2)` answers the next calls with an error, `server.requests` holds what came in,
`server.disconnected` is a `threading.Event` that is set when a client leaves before the end of a stream.
`RerankServer` answers `/rerank` in both shapes in use, by the share of the question's words that a text has.
`ObedientServer` obeys besides every order that it finds in its prompt.
"""

from knowrithm.tests.providers.anthropic_server import AnthropicServer
from knowrithm.tests.providers.google_server import GoogleServer
from knowrithm.tests.providers.obedient_server import ObedientServer
from knowrithm.tests.providers.openai_server import OpenAIServer
from knowrithm.tests.providers.rerank_server import RerankServer
from knowrithm.tests.providers.server import RecordedRequest

__all__ = ["AnthropicServer", "GoogleServer", "ObedientServer", "OpenAIServer", "RecordedRequest", "RerankServer"]
