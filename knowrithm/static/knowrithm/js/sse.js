// Server-sent events over fetch: unlike EventSource it can send headers, and it ends when the server ends.

/** Yield {event, data} for each event of a text/event-stream Response; `data` is the raw text. Comments are skipped. */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let event = "message";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value;
      const lines = buffer.split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) yield { event, data: data.join("\n") };
          event = "message";
          data = [];
          continue;
        }
        const colon = line.indexOf(":");
        const name = colon === -1 ? line : line.slice(0, colon);
        const field = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "event") event = field;
        else if (name === "data") data.push(field);
      }
    }
  } finally {
    await reader.cancel();
  }
}
