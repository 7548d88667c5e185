// Requests to our own server, with the CSRF token the page carries.

/** The page's CSRF token ("" on pages without one). */
export function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.content ?? "";
}

/** The server answered with an error; `message` is its own words where it gave any. */
export class RequestError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Send a request and return the Response, or throw RequestError for 4xx and 5xx.
 * With `token` the request carries it as a bearer; otherwise the session and its CSRF token.
 */
export async function send(url, { method = "GET", body, token, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  else if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  const response = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.ok) return response;
  throw new RequestError(response.status, await errorText(response));
}

async function errorText(response) {
  if (response.status === 429) {
    const seconds = response.headers.get("Retry-After");
    return seconds ? `Too many questions at once. Try again in ${seconds} seconds.` : "Too many questions at once. Try again in a moment.";
  }
  if (response.status === 401) return "You have been signed out. Sign in again to go on.";
  const body = await response.json().catch(() => null);
  return body?.message ?? `The server answered with error ${response.status}.`;
}
