/*! Knowrithm chat widget. */
/**
 * One file, no dependencies, no build step:
 *
 *   <script async src="https://HOST/api/widget.js" data-agent-id="…" data-api-url="https://HOST/api"></script>
 *
 * It lives in a shadow tree, styles itself with a constructed stylesheet and builds every node through the DOM,
 * so it runs under a content security policy without inline code and never interprets an answer as HTML.
 * The host page only needs `script-src` and `connect-src` for HOST (and `img-src` for the agent's avatar).
 */
(() => {
  'use strict';

  // Only readable while the script itself runs, so it is taken before anything else.
  const ownScript = document.currentScript || document.querySelector('script[data-agent-id]');

  if (window.KnowrithmWidget) {
    return; // the page includes the script twice
  }

  const MAX_MESSAGE_LENGTH = 4000;
  const COUNTER_FROM = 3600;
  const REQUEST_TIMEOUT_MS = 30000;
  const START_TIMEOUT_MS = 10000; // then the service counts as down
  const STORED_MS = 250;
  const RETRY_MS = [5000, 15000, 30000, 60000, 300000];
  const WATCH_MS = 4000; // between two looks for what a person has written
  const TYPING_MS = 3000; // between two words that the visitor writes; the inbox shows each for twice as long
  const MOST_CONVERSATIONS = 20;
  const ANSWER_TIMEOUT_MS = 90000;
  const STREAM_SILENCE_MS = 35000; // two heartbeats of the server and some air
  const HIDDEN_MS = 60000; // then nobody is taken to look at the tab
  const STREAM_RECONNECTS = 3;
  const FAST_POLL_MS = 1000;
  const FAST_POLLS = 10;
  const PAGE_SIZE = 100;
  const POSITIONS = ['bottom-right', 'bottom-left', 'top-right', 'top-left', 'right', 'left', 'top', 'bottom'];
  const PHONE = '(max-width: 480px), (max-height: 480px)';
  const DEFAULT_COLOR = '#12634f';

  // ---------------------------------------------------------------------------------------------------- texts

  // English is here, so that there is always something to say; other languages are one file each beside this script.
  const ENGLISH = {
    open: 'Open chat', close: 'Close chat', unread: 'Open chat, new answer', newChat: 'New conversation',
    assistant: 'Digital assistant', welcome: 'Hello! I’m {name}. How can I help you?',
    intro: 'Before we start, please tell us who you are.', firstName: 'First name', lastName: 'Last name',
    email: 'E-mail', phone: 'Phone', optional: 'optional', consent: 'I agree that my data is processed to answer me.',
    start: 'Start chat', starting: 'One moment…', required: 'Please fill in this field.',
    invalidEmail: 'Please enter a valid e-mail address.', consentMissing: 'We need your consent to answer you.',
    log: 'Conversation', compose: 'Your message', send: 'Send', you: 'You', typing: '{name} is writing…',
    sources: 'Sources', source: 'Source {n}', openSource: 'Open the document', newTab: 'opens in a new tab',
    left: '{n} characters left', loading: 'Loading the conversation…', unsent: 'Not sent.', retry: 'Try again',
    failed: 'Sorry, the answer could not be written.', timeout: 'The answer is taking longer than expected.',
    network: 'No connection. Please try again.', busy: 'Too many messages at once. Please wait {n} seconds.',
    broken: 'Something went wrong. Please try again.', branding: 'Powered by {name}',
    intro2: 'So that we can come back to you, please tell us who you are.', skip: 'Not now',
    offlineTitle: 'We cannot be reached at the moment',
    offline: 'Leave your e-mail address and your question. Both stay in this browser and are sent once we are back.',
    message: 'Your question', leave: 'Leave a message',
    kept: 'Thank you. Your message is kept here and sent as soon as we can be reached.',
    delivered: 'Your message has been sent.', refused: 'Your message could not be sent: {reason}', helpful: 'Helpful',
    unhelpful: 'Not helpful', thanks: 'Thank you for your rating.', conversations: 'Conversations', back: 'Back',
    untitled: 'Conversation', person: 'Talk to a person',
    personAsked: 'A person has been asked to join. You can go on writing.',
    personFailed: 'Nobody can be asked at the moment.', suggestions: 'Suggested questions',
  };
  const LANGUAGES = ['ar', 'de', 'en', 'es', 'fr', 'he', 'it', 'ja', 'nl', 'pl', 'pt', 'tr', 'zh'];
  const RIGHT_TO_LEFT = ['ar', 'he'];

  /** The tag or the page decides, then the agent, then the page's own language, then the visitor's browser. */
  function chooseLanguage(...wanted) {
    const candidates = [...wanted, document.documentElement.lang, ...(navigator.languages || [navigator.language])];
    const codes = candidates.map((tag) => String(tag || '').toLowerCase().split('-')[0]);
    return codes.find((code) => LANGUAGES.includes(code)) || 'en';
  }

  /** The texts of a language; English where they cannot be had. */
  async function loadTexts(base, language) {
    if (language !== 'en') {
      try {
        const response = await fetch(`${base}/v1/widget/${language}.json`, { credentials: 'omit' });
        if (response.ok) {
          return { language, texts: { ...ENGLISH, ...await response.json() } };
        }
      } catch {
        // English, then
      }
    }
    return { language: 'en', texts: ENGLISH };
  }

  const translator = (texts) => (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

  // --------------------------------------------------------------------------------------------------- config

  const given = (...values) => values.find((value) => value !== undefined && value !== null && value !== '');

  /** Present attributes count as true unless they say no: `data-auto-open` equals `data-auto-open="true"`. */
  function flag(fallback, ...values) {
    const value = values.find((candidate) => candidate !== undefined && candidate !== null);
    return value === undefined ? fallback : !['false', '0', 'no', 'off'].includes(String(value).toLowerCase());
  }

  function milliseconds(fallback, ...values) {
    const number = Number(given(...values));
    return Number.isFinite(number) && number >= 0 ? number : fallback;
  }

  const words = (value) => [].concat(value).join(' ').split(/[\s,]+/).filter(Boolean);

  function choice(allowed, ...values) {
    const value = String(given(...values, allowed[0])).toLowerCase();
    return allowed.includes(value) ? value : allowed[0];
  }

  /** `https://host/api/v1/` → `https://host/api`; without a setting, the `/api` of the script's own origin. */
  function apiBase(configured, script) {
    const origin = script && script.src ? new URL(script.src, location.href).origin : location.origin;
    const url = new URL(configured || `${origin}/api`, location.href);
    return (url.origin + url.pathname).replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '');
  }

  /** What the page says: the tag's attributes, and `window.AIChatWidget`, an object or a function of them. */
  function readSources(script) {
    const tag = script ? { ...script.dataset } : {};
    const setting = window.AIChatWidget;
    return { script, tag, page: (typeof setting === 'function' ? setting(tag) : setting) || {} };
  }

  /** The page's object wins over the script tag, and both over what is set for the agent, which comes later. */
  function readConfig({ script, tag, page }, agent = {}) {
    const looks = page.appearance || {};
    const behavior = page.behavior || {};
    const own = agent.widget || {};
    return {
      agentId: String(given(page.agentId, tag.agentId, '')),
      api: apiBase(given(page.apiUrl, tag.apiUrl), script),
      color: given(
        looks.primaryColor, page.primaryColor, page.color, tag.primaryColor, tag.color, own.color, DEFAULT_COLOR,
      ),
      position: choice(POSITIONS, looks.placement, page.position, tag.position, own.position),
      theme: choice(['auto', 'light', 'dark'], looks.theme, page.theme, tag.theme, own.theme),
      buttonText: given(looks.buttonText, page.buttonText, tag.buttonText, own.button_text, ''),
      showBranding: flag(true, looks.showBranding, page.showBranding, tag.showBranding),
      pollingInterval: Math.max(
        250, milliseconds(2500, behavior.pollingInterval, page.pollingInterval, tag.pollingInterval),
      ),
      autoOpen: flag(false, behavior.autoOpen, page.autoOpen, tag.autoOpen),
      initialDelay: milliseconds(0, behavior.initialDelay, page.initialDelay, tag.initialDelay),
      persistSession: flag(true, behavior.persistSession, page.persistSession, tag.persistSession),
      welcome: given(page.welcome, tag.welcome, ''),
      title: given(page.title, tag.title, own.title, ''),
      language: chooseLanguage(page.language, tag.language, own.language),
      messageOrigins: words(given(page.messageOrigins, tag.messageOrigins, '')),
      ask: choice(['before', 'after', 'none'], own.ask),
      askAfter: Number(own.ask_after) || 2,
      fields: own.fields || {},
      customFields: [].concat(own.custom_fields || []),
      consentText: given(own.consent_text, ''),
      consentVersion: given(own.consent_version, 'standard-2'),
      marketingText: given(own.marketing_text, ''),
      handover: agent.handover === true,
      callbacks: page.callbacks || {},
    };
  }

  // -------------------------------------------------------------------------------------------------- session

  /** JSON in the local storage, or in memory where that is blocked or not wanted. */
  function openStore(key, persistent) {
    let memory = null;
    return {
      read() {
        try {
          return persistent ? JSON.parse(localStorage.getItem(key)) : memory;
        } catch {
          return memory;
        }
      },
      write(value) {
        memory = value;
        try {
          if (persistent && value) {
            localStorage.setItem(key, JSON.stringify(value));
          } else if (persistent) {
            localStorage.removeItem(key);
          }
        } catch {
          persistent = false;
        }
      },
    };
  }

  /** Who the visitor is, and their conversations: of one that is not listed here nobody else knows the id. */
  function openSession(agentId, persistent) {
    const key = `knowrithm-widget::${agentId}`;
    const store = openStore(key, persistent);
    const empty = {
      accessToken: null, refreshToken: null, leadPayload: null, conversationId: null, conversations: [], answers: 0,
      skipped: false,
    };
    let state = { ...empty };

    function load() {
      const stored = store.read();
      const isUsable = stored && typeof stored.accessToken === 'string' && (stored.leadPayload || stored.refreshToken);
      const known = isUsable ? stored : {};
      state = Object.fromEntries(Object.entries(empty).map(([name, usual]) => [name, given(known[name], usual)]));
      state.conversations = [].concat(state.conversations).filter((one) => one && one.id);
    }

    const save = () => store.write({ ...state, updatedAt: new Date().toISOString() });

    /** What another tab has to follow. */
    const gist = () => JSON.stringify([state.accessToken, state.conversationId, state.conversations[0]]);

    load();
    return {
      get: () => state,
      update(changes) {
        state = { ...state, ...changes };
        save();
      },
      /** Puts the open conversation first; `changes` are its title, or what was declined in it. */
      note(changes) {
        const id = state.conversationId;
        const known = state.conversations.find((one) => one.id === id) || { id };
        const entry = { ...known, ...changes, at: Date.now() };
        const others = state.conversations.filter((one) => one.id !== id);
        this.update({ conversations: [entry, ...others].slice(0, MOST_CONVERSATIONS) });
      },
      clear() {
        state = { ...empty };
        save();
      },
      /** Tells of what another tab has written. */
      onChange(listener) {
        addEventListener('storage', (event) => {
          const before = gist();
          if (persistent && event.key === key) {
            load();
            if (gist() !== before) {
              listener();
            }
          }
        });
      },
    };
  }

  // ------------------------------------------------------------------------------------------------------ API

  /** `status` 0 means that no answer came; `retryAfter` is in seconds or null. */
  class ApiError extends Error {
    constructor(status, body, retryAfter) {
      super((body && (body.message || body.error)) || '');
      this.status = status;
      this.fields = (body && body.errors) || {};
      this.retryAfter = retryAfter;
    }
  }

  /** Nothing is wrong with what was sent: it may be sent again later. */
  const isDown = ({ status }) => status === 0 || status === 429 || status >= 500;

  async function jsonOf(response) {
    try {
      return await response.json();
    } catch {
      return {};
    }
  }

  function createApi(base, session, agentId) {
    let renewal = null;

    /** Resolves with a 2xx response, else throws ApiError. Without `signal` the call is limited in time. */
    async function call(method, path, { body, token, headers, signal, timeout = REQUEST_TIMEOUT_MS } = {}) {
      const limit = new AbortController();
      const timer = signal ? 0 : setTimeout(() => limit.abort(), timeout);
      let response;
      try {
        response = await fetch(`${base}/v1${path}`, {
          method,
          headers: {
            Accept: 'application/json',
            ...(body && { 'Content-Type': 'application/json' }),
            ...(token && { Authorization: `Bearer ${token}` }),
            ...headers,
          },
          body: body && JSON.stringify(body),
          cache: 'no-store',
          credentials: 'omit',
          signal: signal || limit.signal,
        });
      } catch {
        throw new ApiError(0, null, null);
      } finally {
        clearTimeout(timer);
      }
      if (!response.ok) {
        const retryAfter = parseInt(response.headers.get('Retry-After'), 10) || null;
        throw new ApiError(response.status, await jsonOf(response), retryAfter);
      }
      return response;
    }

    function take(body, changes) {
      const token = body.access_token || body.accessToken || (body.tokens && body.tokens.access_token);
      if (body.success === false || !token) {
        throw new ApiError(422, body, null);
      }
      session.update({ accessToken: token, refreshToken: body.refresh_token || null, ...changes });
    }

    const post = async (path, body) => jsonOf(await call('POST', path, { body }));

    /** What is kept to register anew with; the company's own questions are answered once. */
    const register = async ({ custom_fields: answers, ...known }) => take(
      await post('/lead/register', { ...known, ...(answers && { custom_fields: answers }) }), { leadPayload: known },
    );

    /** For a visitor who need not say who they are. */
    const visit = async () => take(await post('/lead/visitor', { agent_id: agentId }), { leadPayload: null });

    async function renewNow() {
      const { refreshToken, leadPayload } = session.get();
      if (refreshToken) {
        try {
          take(await post('/lead/visitor', { agent_id: agentId, refresh_token: refreshToken }));
          return;
        } catch (error) {
          if (!leadPayload || isDown(error)) {
            throw error;
          }
        }
      }
      await register(leadPayload);
    }

    /** Several calls may meet an expired token together: they share one renewal. */
    function renew() {
      renewal = renewal || renewNow().finally(() => { renewal = null; });
      return renewal;
    }

    async function authorized(method, path, options = {}) {
      const { accessToken, refreshToken, leadPayload } = session.get();
      try {
        return await call(method, path, { ...options, token: accessToken });
      } catch (error) {
        if (error.status !== 401 || !(leadPayload || refreshToken)) {
          throw error;
        }
        await renew();
        return call(method, path, { ...options, token: session.get().accessToken });
      }
    }

    return {
      register,
      visit,
      authorized,
      handshake: (body) => call('POST', '/website/handshake', { body }),
      async loadAgent() {
        const path = `/agent/${encodeURIComponent(agentId)}`;
        const body = await jsonOf(await call('GET', path, { timeout: START_TIMEOUT_MS }));
        if (!body.agent) {
          throw new Error('the agent was not found');
        }
        return body.agent;
      },
      authorizedJson: async (...args) => jsonOf(await authorized(...args)),
    };
  }

  /** Server-sent events of a response body as `{name, id, data}`; `onBytes` is told of every sign of life. */
  async function* readEvents(body, onBytes) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    let event = { name: 'message', id: '', data: [] };
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      onBytes();
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === '') {
          if (event.data.length) {
            yield { ...event, data: event.data.join('\n') };
          }
          event = { name: 'message', id: event.id, data: [] };
          continue;
        }
        const [, field, text] = /^([^:]*):? ?(.*)$/s.exec(line);
        if (field === 'event') {
          event.name = text;
        } else if (field === 'id') {
          event.id = text;
        } else if (field === 'data') {
          event.data.push(text);
        }
      }
    }
  }

  function parseJson(text) {
    try {
      const value = JSON.parse(text);
      return value && typeof value === 'object' ? value : {};
    } catch {
      return {};
    }
  }

  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  // ------------------------------------------------------------------------------------------------------ DOM

  /** Strings become text nodes, `on…` functions listeners, true an empty attribute; null, false and '' are left out. */
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (typeof value === 'function') {
        node.addEventListener(name.slice(2), value);
      } else if (value !== false && value !== null && value !== undefined) {
        node.setAttribute(name, value === true ? '' : value);
      }
    }
    node.append(...children.filter(Boolean));
    return node;
  }

  const ICONS = {
    chat: 'M12 3.5c-5 0-9 3.4-9 7.7 0 2.3 1.2 4.4 3.1 5.8-.1 1.2-.6 2.3-1.4 3.2'
      + '-.2.3 0 .7.4.6 1.9-.2 3.6-.9 5-2 .6.1 1.2.1 1.9.1 5 0 9-3.4 9-7.7s-4-7.7-9-7.7Z',
    close: 'm6 6 12 12M18 6 6 18',
    down: 'm6 9 6 6 6-6',
    send: 'M12 19V5m-6 6 6-6 6 6',
    edit: 'M12 5v14M5 12h14',
    list: 'M5 7h14M5 12h14M5 17h9',
    up: 'M7 11v9H4v-9h3Zm0 0 4-7.5c1.4 0 2.3 1 2.1 2.4L12.5 9H18a2 2 0 0 1 2 2.4l-1.3 6.9A2 2 0 0 1 16.7 20H7',
  };

  function icon(name) {
    const namespace = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(namespace, 'svg');
    const path = document.createElementNS(namespace, 'path');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('class', `icon icon-${name}`);
    path.setAttribute('d', ICONS[name]);
    svg.append(path);
    return svg;
  }

  function webUrl(value) {
    try {
      const url = new URL(value);
      return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
    } catch {
      return null;
    }
  }

  const externalLink = (url, ...children) =>
    el('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...children);

  // ------------------------------------------------------------------------------------------ text of answers

  const MARKER = '[ \\t]*\\[(?:sources?\\s*)?\\d{1,3}(?:\\s*,\\s*(?:sources?\\s*)?\\d{1,3})*\\](?!\\()';
  const MARKERS = new RegExp(MARKER, 'gi');
  const INLINE = new RegExp(
    [
      '(?<code>`[^`\\n]+`)',
      `(?<marker>${MARKER})`,
      '(?<link>\\[[^\\]\\n]{1,300}\\]\\([^)\\s]+\\))',
      '(?<bold>\\*\\*(?=\\S)[^\\n]+?\\*\\*)',
      '(?<italic>\\*(?=[^\\s*])[^*\\n]+\\*(?![\\w*]))',
      '(?<url>https?://[^\\s<>"\\]]*[^\\s<>"\\].,;:!?)])',
    ].join('|'),
    'gi',
  );

  /** The nodes of one line. `references` knows the answer's sources: `{button(number), urls: Set}`. */
  function inlineNodes(text, references) {
    const nodes = [];
    let end = 0;
    for (const match of text.matchAll(INLINE)) {
      pushText(nodes, text.slice(end, match.index));
      if (match.groups.marker) {
        const buttons = match[0].match(/\d+/g).map((number) => references.button(Number(number)));
        pushReferences(nodes, buttons.filter(Boolean));
      } else {
        nodes.push(...inlineMatch(match, references));
      }
      end = match.index + match[0].length;
    }
    pushText(nodes, text.slice(end));
    return nodes;
  }

  const isKeep = (node) => node instanceof Element && node.className === 'keep';

  /** Punctuation behind a reference stays on its line. */
  function pushText(nodes, text) {
    const last = nodes[nodes.length - 1];
    const [punctuation] = isKeep(last) ? /^[.,;:!?)\]»”]*/.exec(text) : [''];
    if (punctuation) {
      last.append(punctuation);
    }
    if (text.length > punctuation.length) {
      nodes.push(text.slice(punctuation.length));
    }
  }

  /** References stay on the line of the word that they follow. */
  function pushReferences(nodes, buttons) {
    const last = nodes[nodes.length - 1];
    if (isKeep(last)) {
      last.append(...buttons);
    } else if (buttons.length) {
      const before = typeof last === 'string' ? nodes.pop() : '';
      const [word] = /\S{0,24}$/.exec(before);
      pushText(nodes, before.slice(0, before.length - word.length));
      nodes.push(el('span', { class: 'keep' }, word, ...buttons));
    }
  }

  function inlineMatch({ 0: whole, groups }, references) {
    if (groups.code) {
      return [el('code', null, whole.slice(1, -1))];
    }
    if (groups.bold) {
      return [el('strong', null, ...inlineNodes(whole.slice(2, -2), references))];
    }
    if (groups.italic) {
      return [el('em', null, ...inlineNodes(whole.slice(1, -1), references))];
    }
    const [, label, target] = groups.link ? /^\[(.+)\]\((\S+)\)$/.exec(whole) : [null, whole, whole];
    if (references.urls.has(webUrl(target))) {
      return [externalLink(webUrl(target), label)];
    }
    // An address that no source vouches for stays text: a model may have made it up.
    return [label === target ? label : `${label} (${target})`];
  }

  /** Paragraphs, lists, headings and fenced code; everything else is text. */
  function richText(text, references) {
    const blocks = [];
    let block = null;
    let fence = null;
    const open = (kind, node) => {
      block = { kind, node };
      blocks.push(node);
    };
    for (const line of text.split(/\r?\n/)) {
      if (/^\s*```/.test(line)) {
        fence = fence ? null : el('code', null);
        block = null;
        if (fence) {
          blocks.push(el('pre', { tabindex: '0' }, fence));
        }
      } else if (fence) {
        fence.append(`${line}\n`);
      } else {
        const item = /^\s*(?:[-*•]|(\d{1,3})[.)])\s+(.+)$/.exec(line);
        const heading = /^\s*#{1,6}\s+(.+)$/.exec(line);
        if (item) {
          const kind = item[1] ? 'ol' : 'ul';
          if (!block || block.kind !== kind) {
            open(kind, el(kind, { start: item[1] }));
          }
          block.node.append(el('li', null, ...inlineNodes(item[2], references)));
        } else if (heading) {
          open('heading', el('p', null, el('strong', null, ...inlineNodes(heading[1], references))));
        } else if (line.trim() === '') {
          block = null;
        } else if (block && block.kind === 'p') {
          block.node.append(el('br'), ...inlineNodes(line, references));
        } else {
          open('p', el('p', null, ...inlineNodes(line, references)));
        }
      }
    }
    return blocks;
  }

  const NO_REFERENCES = { button: () => null, urls: new Set() };

  /** Hides a citation mark of which only the beginning has arrived. */
  const withoutOpenMarker = (text) => text.replace(/[ \t]*\[[^\]\n]{0,24}$/, '');

  // --------------------------------------------------------------------------------------------------- colour

  function luminance(rgb) {
    const [r, g, b] = rgb.map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function contrast(a, b) {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  }

  /** Moves `rgb` towards black or white until it is readable on `surface` (WCAG AA, 4.5 to 1). */
  function readableOn(surface, rgb) {
    const goal = luminance(surface) > 0.5 ? 0 : 255;
    let color = rgb;
    for (let step = 1; contrast(color, surface) < 4.5 && step <= 20; step += 1) {
      color = rgb.map((part) => Math.round(part + ((goal - part) * step) / 20));
    }
    return color;
  }

  const cssColor = (rgb) => `rgb(${rgb.join(' ')})`;

  /** Any CSS colour as three numbers; the browser is the parser. */
  function parseColor(value, probe) {
    probe.style.color = '';
    probe.style.color = value;
    const parts = probe.style.color && /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)/.exec(getComputedStyle(probe).color);
    probe.style.color = '';
    return parts ? parts.slice(1, 4).map(Number) : null;
  }

  // --------------------------------------------------------------------------------------------------- styles

  // `!important` on :host: rules of the page would otherwise win over those of the shadow tree's own host.
  // Sizes are em of `medium`, the reader's own text size, whatever the page's root size is.
  const STYLES = `
:host { all: initial !important; display: contents !important; }
@media print { .root { display: none !important; } }
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.root {
  --surface: #fff; --raised: #f2f4f7; --text: #171a21; --muted: #565e6c; --line: #e3e6eb; --control: #838b99;
  --danger: #b42318; --danger-soft: #fef3f2; --shadow: 0 1px 2px rgb(16 24 40 / .08), 0 16px 48px rgb(16 24 40 / .2);
  position: fixed; z-index: 2147483000; display: flex; gap: 14px; direction: ltr;
  font: 400 medium/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif;
  color: var(--text); -webkit-text-size-adjust: 100%; text-align: start;
}
.root[data-theme=dark] {
  --surface: #16181d; --raised: #23262e; --text: #eef0f4; --muted: #a6aebc; --line: #30343d; --control: #757e8d;
  --danger: #ff9b91; --danger-soft: #3a1f1d; --shadow: 0 1px 2px rgb(0 0 0 / .4), 0 16px 48px rgb(0 0 0 / .6);
  color-scheme: dark;
}
.root[data-position^=bottom] { bottom: 20px; flex-direction: column-reverse; }
.root[data-position^=top] { top: 20px; flex-direction: column; }
.root[data-position$=-right] { right: 20px; align-items: flex-end; }
.root[data-position$=-left] { left: 20px; align-items: flex-start; }
.root[data-position=top], .root[data-position=bottom] {
  left: 0; right: 0; width: fit-content; margin-inline: auto; align-items: center;
}
.root[data-position=left], .root[data-position=right] {
  top: 0; bottom: 0; height: fit-content; margin-block: auto; align-items: center;
}
.root[data-position=left] { left: 20px; flex-direction: row; }
.root[data-position=right] { right: 20px; flex-direction: row-reverse; }

button, input, textarea { font: inherit; color: inherit; margin: 0; }
button { border: 0; padding: 0; background: none; cursor: pointer; -webkit-tap-highlight-color: transparent; }
:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; }
.icon {
  width: 1.25em; height: 1.25em; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round;
  stroke-linejoin: round; display: block;
}
.icon-chat { fill: currentColor; stroke: none; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.launcher {
  position: relative; display: inline-flex; align-items: center; justify-content: center; gap: .6em;
  min-width: 60px; height: 60px; border-radius: 30px; background: var(--accent); color: var(--on-accent);
  border: 1px solid transparent; box-shadow: 0 2px 6px rgb(16 24 40 / .18), 0 8px 24px rgb(16 24 40 / .22);
  font-weight: 600; transition: transform .16s ease, box-shadow .16s ease;
}
.launcher:hover { transform: translateY(-2px); }
.launcher:active { transform: none; }
.launcher:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; box-shadow: 0 0 0 3px #fff; }
.launcher.labelled { padding-inline: 20px 24px; }
.launcher .icon { width: 28px; height: 28px; }
.launcher .icon-down, .launcher[aria-expanded=true] .icon-chat { display: none; }
.launcher[aria-expanded=true] .icon-down { display: block; }
.badge {
  position: absolute; inset-block-start: 0; inset-inline-end: 0; width: 16px; height: 16px; border-radius: 50%;
  background: #d92d20; border: 2px solid #fff;
}

.panel {
  display: flex; flex-direction: column; overflow: hidden; width: min(392px, calc(100vw - 40px));
  height: min(660px, calc(100vh - 114px)); height: min(660px, calc(100dvh - 114px));
  background: var(--surface); border: 1px solid var(--line); border-radius: 18px; box-shadow: var(--shadow);
  animation: rise .2s cubic-bezier(.2, .8, .3, 1);
}
.root[data-position=left] .panel, .root[data-position=right] .panel { height: min(660px, calc(100vh - 40px)); }
@keyframes rise { from { opacity: 0; transform: translateY(10px) scale(.985); } }

.header {
  display: flex; align-items: center; gap: 12px; padding: 14px 12px 14px 16px; padding-inline: 16px 10px;
  background: var(--accent); color: var(--on-accent);
}
.header :focus-visible { outline-color: currentColor; outline-offset: -2px; }
.avatar {
  flex: none; display: grid; place-items: center; width: 40px; height: 40px; border-radius: 50%; overflow: hidden;
  background: var(--on-accent); color: var(--accent); font-weight: 700; font-size: 1.05em; text-transform: uppercase;
}
.avatar img { width: 100%; height: 100%; object-fit: cover; }
.names { flex: 1; min-width: 0; }
.title {
  margin: 0; font-size: 1em; font-weight: 650; line-height: 1.3; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap;
}
.subtitle {
  margin: 0; font-size: .8em; line-height: 1.35; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
.tool {
  flex: none; display: grid; place-items: center; width: 40px; height: 40px; border-radius: 10px;
  transition: background .15s;
}
.tool:hover { background: rgb(127 127 127 / .28); }

.body { flex: 1; min-height: 0; display: flex; flex-direction: column; }
.form {
  flex: 1; overflow-y: auto; overscroll-behavior: contain; padding: 22px 20px 18px; display: flex;
  flex-direction: column; gap: 14px;
}
.hello { margin: 0 0 4px; font-size: 1.22em; font-weight: 680; line-height: 1.3; letter-spacing: -.01em; }
.intro { margin: 0 0 4px; color: var(--muted); font-size: .92em; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5em, 1fr)); gap: 14px 12px; align-items: start; }
.field { display: flex; flex-direction: column; gap: 5px; min-width: 0; }
.field label { font-size: .86em; font-weight: 560; }
.optional { color: var(--muted); font-weight: 400; }
.about { margin: 0; color: var(--muted); font-size: .84em; line-height: 1.4; }
.input {
  width: 100%; min-height: 44px; padding: 9px 12px; background: var(--surface); border: 1px solid var(--control);
  border-radius: 10px; font-size: 1em; line-height: 1.4;
}
.input:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 0; border-color: transparent; }
.input[aria-invalid=true] { border-color: var(--danger); }
.problem { margin: 0; color: var(--danger); font-size: .84em; line-height: 1.4; }
.consent { display: grid; grid-template-columns: auto 1fr; gap: 2px 10px; font-size: .88em; line-height: 1.45; }
.consent input { width: 20px; height: 20px; margin: 1px 0 0; accent-color: var(--accent-text); }
.consent .problem, .consent .about { grid-column: 2; font-size: .95em; }
.alert {
  margin: 0; padding: 10px 12px; border-radius: 10px; background: var(--danger-soft); color: var(--danger);
  font-size: .9em;
}
.starters { display: flex; flex-wrap: wrap; gap: 6px; }
.starter {
  min-height: 44px; padding: 7px 14px; border: 1px solid var(--control); border-radius: 22px; background: none; color: var(--accent-text);
  font: inherit; font-size: .92em; text-align: start; cursor: pointer;
}
.starter:hover { background: var(--raised); }
.primary {
  min-height: 46px; padding: 10px 18px; border-radius: 11px; background: var(--accent); color: var(--on-accent);
  border: 1px solid transparent; font-weight: 620; transition: filter .15s;
}
.primary:hover { filter: brightness(1.08); }
.primary[aria-disabled=true] { opacity: .7; cursor: progress; }

.log {
  flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 18px 16px 8px; display: flex;
  flex-direction: column; gap: 14px;
}
.log:focus-visible { outline-offset: -3px; }
.log > :first-child { margin-block-start: auto; }
.message { display: flex; flex-direction: column; max-width: 88%; animation: rise .18s ease-out; }
.message.user { align-self: flex-end; align-items: flex-end; }
.message.assistant { align-self: flex-start; align-items: flex-start; }
.bubble {
  padding: 10px 14px; border-radius: 16px; font-size: .95em; overflow-wrap: anywhere; min-width: 0;
  max-width: 100%;
}
.user .bubble {
  background: var(--accent); color: var(--on-accent); border-end-end-radius: 5px; white-space: pre-wrap;
  border: 1px solid transparent;
}
.user.sending .bubble { opacity: .75; }
.user.unsent .bubble { background: var(--raised); color: var(--text); border: 1px dashed var(--danger); }
.assistant .bubble { background: var(--raised); border-end-start-radius: 5px; }
.bubble > * { margin: 0; }
.bubble > * + * { margin-block-start: .6em; }
.bubble ul, .bubble ol { padding-inline-start: 1.35em; }
.bubble li + li { margin-block-start: .25em; }
.bubble a, .source a { color: var(--accent-text); text-underline-offset: 2px; }
.bubble code {
  padding: .1em .35em; border-radius: 5px; background: rgb(127 127 127 / .18);
  font: .9em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
.bubble pre { overflow-x: auto; padding: 10px 12px; border-radius: 8px; background: rgb(127 127 127 / .14); }
.bubble pre code { padding: 0; background: none; white-space: pre; overflow-wrap: normal; }
.keep { white-space: nowrap; }
.ref {
  display: inline-grid; place-items: center; min-width: 24px; height: 24px; padding: 0; margin-block: -6px;
  margin-inline: -2px;
  vertical-align: .22em; font-size: .74em; font-weight: 650; line-height: 1; color: var(--accent-text);
}
.ref span {
  display: grid; place-items: center; min-width: 18px; height: 18px; padding-inline: 4px; border-radius: 6px;
  background: var(--surface); box-shadow: inset 0 0 0 1px var(--line);
}
.ref:hover span { background: var(--accent); color: var(--on-accent); }
.ref:focus-visible { outline-offset: -1px; border-radius: 7px; }

.sources { width: 100%; margin-block-start: 8px; font-size: .85em; }
.sources-title { margin: 0 0 5px; padding-inline-start: 2px; color: var(--muted); font-size: .93em; font-weight: 600; }
.sources ol { list-style: none; margin: 0; padding: 0; display: flex; flex-direction: column; gap: 6px; }
.source {
  scroll-margin: 12px; border: 1px solid var(--line); border-radius: 10px; background: var(--surface);
  overflow: hidden;
}
.head {
  display: grid; grid-template-columns: auto 1fr auto; align-items: center; gap: 9px; padding: 7px 10px;
  min-height: 36px; list-style: none;
}
.head::-webkit-details-marker { display: none; }
summary.head { cursor: pointer; }
summary.head:hover { background: var(--raised); }
.source :focus-visible, .source:focus-visible { outline-offset: -2px; border-radius: 9px; }
.number {
  display: grid; place-items: center; min-width: 20px; height: 20px; padding-inline: 5px; border-radius: 6px;
  background: var(--raised); color: var(--accent-text); font-weight: 650; font-size: .9em;
}
.name { min-width: 0; overflow-wrap: anywhere; font-weight: 560; line-height: 1.35; }
.locator { display: block; color: var(--muted); font-weight: 400; font-size: .94em; }
.source .icon { width: 16px; height: 16px; color: var(--muted); transition: transform .15s; }
details[open] .icon { transform: rotate(180deg); }
.more { padding: 0 12px 10px 12px; padding-inline-start: 39px; }
.excerpt {
  margin: 0 0 6px; padding-inline-start: 10px; border-inline-start: 3px solid var(--line); color: var(--muted);
  white-space: pre-line; overflow-wrap: anywhere;
}

.note {
  display: flex; flex-wrap: wrap; align-items: center; gap: 0 14px; margin: 6px 2px 0; color: var(--danger);
  font-size: .85em;
}
.note.slow { color: var(--muted); visibility: hidden; animation: shown 0s 10s forwards; }
@keyframes shown { to { visibility: visible; } }
.user .note { justify-content: flex-end; text-align: end; }
.retry {
  margin-inline: -8px; min-height: 28px; padding: 2px 8px; border-radius: 8px; font-weight: 600;
  text-decoration: underline; text-underline-offset: 2px; color: var(--danger);
}
.retry:hover { background: var(--danger-soft); }
.dots { display: inline-flex; align-items: center; gap: 5px; height: 1.5em; }
.dots i {
  width: 7px; height: 7px; border-radius: 50%; background: var(--muted);
  animation: blink 1.2s infinite ease-in-out;
}
.dots i:nth-child(2) { animation-delay: .16s; }
.dots i:nth-child(3) { animation-delay: .32s; }
@keyframes blink { 0%, 70%, 100% { opacity: .3; transform: none; } 35% { opacity: 1; transform: translateY(-3px); } }

.rating { display: flex; gap: 2px; margin-block-start: 2px; }
.rate {
  display: grid; place-items: center; width: 30px; height: 28px; border-radius: 8px; color: var(--muted);
}
.rate:hover { background: var(--raised); }
.rate[aria-pressed=true] {
  color: var(--accent-text); background: var(--raised); box-shadow: inset 0 0 0 1px currentColor;
}
.rate .icon { width: 16px; height: 16px; }
.rate.no .icon { transform: rotate(180deg); }
.who { margin: 0 2px 3px; color: var(--muted); font-size: .8em; font-weight: 600; }
.hint { margin: 0 16px; color: var(--muted); font-size: .82em; }
.system { align-self: center; max-width: 92%; margin: 0; color: var(--muted); font-size: .85em; text-align: center; }
.list { flex: 1; overflow-y: auto; padding: 16px; display: flex; flex-direction: column; gap: 8px; }
.list ul { list-style: none; margin: 0; padding: 0; display: flex; flex-direction: column; gap: 6px; }
.list h3 { margin: 0 0 4px; font-size: 1.05em; }
.item {
  width: 100%; padding: 10px 12px; border: 1px solid var(--line); border-radius: 10px; text-align: start;
}
.item:hover, .item[aria-current=true] { background: var(--raised); }
.item span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.item time { color: var(--muted); font-size: .82em; }
.quiet {
  min-height: 32px; padding: 4px 10px; border-radius: 9px; color: var(--accent-text); font-size: .88em;
  font-weight: 560;
}
.quiet:hover { background: var(--raised); }
.gate { flex: none; max-height: 75%; border-block-start: 1px solid var(--line); }
.info { margin: 0; padding: 10px 12px; border-radius: 10px; background: var(--raised); font-size: .92em; }
textarea.input { min-height: 88px; resize: vertical; }

.composer { flex: none; padding: 8px 12px 10px; }
.box {
  display: flex; align-items: flex-end; gap: 6px; padding: 5px; border: 1px solid var(--control);
  border-radius: 16px; background: var(--surface);
}
.box:focus-within { outline: 2px solid var(--accent-text); border-color: transparent; }
.text {
  flex: 1; min-width: 0; min-height: 40px; max-height: 140px; padding: 8px 4px 8px 10px;
  padding-inline: 10px 4px; border: 0; background: none; resize: none; line-height: 1.45; outline: none;
}
.text::placeholder { color: var(--muted); opacity: 1; }
.send {
  flex: none; display: grid; place-items: center; width: 40px; height: 40px; border-radius: 12px;
  background: var(--accent); color: var(--on-accent); border: 1px solid transparent;
  transition: opacity .15s, filter .15s;
}
.send:hover { filter: brightness(1.08); }
.send[aria-disabled=true] { background: var(--raised); color: var(--muted); cursor: default; filter: none; }
.counter { margin: 4px 6px 0; color: var(--muted); font-size: .8em; text-align: end; }
.branding { margin: 0; padding: 0 12px 9px; color: var(--muted); font-size: .75em; text-align: center; }

@media ${PHONE} {
  .root[data-open] .launcher { display: none; }
  .root .panel, .root[data-position] .panel {
    position: fixed; inset: 0; width: auto; height: auto; border: 0; border-radius: 0;
    padding-bottom: env(safe-area-inset-bottom); animation: none;
  }
  .header { padding-block-start: max(14px, env(safe-area-inset-top)); }
}
@media (max-height: 380px) {
  .header { padding-block: 6px; }
  .branding { display: none; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
  .note.slow { animation: shown 0s 10s forwards !important; }
}
@media (forced-colors: active) {
  .bubble, .ref span, .number, .launcher, .header { border: 1px solid; }
  .dots i { background: CanvasText; }
}
`;

  function applyStyles(shadow) {
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLES);
      shadow.adoptedStyleSheets = [sheet];
    } catch {
      shadow.append(el('style', null, STYLES)); // browsers without constructed stylesheets
    }
  }

  // ----------------------------------------------------------------------------------------------------- view

  const FIELDS = [
    { name: 'first_name', label: 'firstName', type: 'text', autocomplete: 'given-name', limit: 100 },
    { name: 'last_name', label: 'lastName', type: 'text', autocomplete: 'family-name', limit: 100 },
    { name: 'email', label: 'email', type: 'email', autocomplete: 'email', limit: 254 },
    { name: 'phone', label: 'phone', type: 'tel', autocomplete: 'tel', limit: 40 },
  ];
  const USUAL = { first_name: 'required', last_name: 'required', email: 'required', phone: 'optional' };

  /**
   * The form in which visitors say who they are. `fields` says of each whether it is required, optional or hidden,
   * `own` are the company's own ones (key, name, type, description, options, is_required),
   * `texts` has hello, intro, button, and perhaps message: a label, where something may be written besides.
   * `onSubmit(values)` may throw ApiError, which is then shown beside the field or the button; `onSkip` is optional.
   */
  function createLeadForm({ t, config, fields, own, texts, values = {}, onSubmit, onSkip }) {
    const problems = {};
    const inputs = {};
    const asked = FIELDS.filter(({ name }) => fields[name] !== 'hidden');

    const problemLine = (name) => (problems[name] = el('p', { class: 'problem', id: `problem-${name}`, hidden: true }));

    function wrapped(name, label, isRequired, about) {
      const hint = isRequired ? null : el('span', { class: 'optional' }, ` (${t('optional')})`);
      return el('div', { class: 'field' },
        el('label', { for: `field-${name}`, dir: 'auto' }, label, hint), inputs[name], about, problemLine(name));
    }

    function field({ name, label, type, autocomplete, limit }) {
      const required = fields[name] === 'required';
      inputs[name] = el('input', {
        class: 'input', id: `field-${name}`, name, type, autocomplete, maxlength: limit, required,
        dir: type === 'text' ? 'auto' : 'ltr', 'aria-describedby': `problem-${name}`, oninput: () => recheck(name),
        value: values[name] || null,
      });
      return wrapped(name, t(label), required);
    }

    function box(name, label, isRequired) {
      inputs[name] = el('input', {
        type: 'checkbox', id: `field-${name}`, name, required: isRequired, 'aria-describedby': `problem-${name}`,
        oninput: () => recheck(name),
      });
      return el('div', { class: 'consent' },
        inputs[name], el('label', { for: `field-${name}`, dir: 'auto' }, label), problemLine(name));
    }

    function ownField({ key, name: label, type, description, options, is_required: required }) {
      const name = `custom_fields.${key}`;
      const known = (values.custom_fields || {})[key];
      const about = description && el('p', { class: 'about', id: `about-${name}`, dir: 'auto' }, description);
      const described = `${about ? `about-${name} ` : ''}problem-${name}`;
      if (type === 'boolean') {
        const node = box(name, label, false);
        inputs[name].checked = known === true;
        inputs[name].setAttribute('aria-describedby', described);
        node.insertBefore(about || el('span'), problems[name]);
        return node;
      }
      const shared = {
        class: 'input', id: `field-${name}`, name, required, 'aria-describedby': described, oninput: () => recheck(name),
      };
      inputs[name] = type === 'choice'
        ? el('select', shared, el('option', { value: '' }, ''),
          ...options.map((option) => el('option', { value: option, selected: option === known }, option)))
        : el('input', { ...shared, type, maxlength: 1000, step: type === 'number' && 'any', dir: 'auto', value: known });
      return wrapped(name, label, required, about);
    }

    function message() {
      inputs.message = el('textarea', {
        class: 'input', id: 'field-message', name: 'message', maxlength: MAX_MESSAGE_LENGTH, dir: 'auto', rows: '3',
        'aria-describedby': 'problem-message', oninput: () => recheck('message'),
      }, values.message);
      return wrapped('message', texts.message, false);
    }

    const names = asked.filter(({ type }) => type === 'text').map(field);
    const others = [...asked.filter(({ type }) => type !== 'text').map(field), ...own.map(ownField)];
    const alert = el('p', { class: 'alert', role: 'alert', hidden: true });
    const button = el('button', { class: 'primary', type: 'submit' }, texts.button);
    const form = el('form', { class: 'form', novalidate: true, onsubmit: submit },
      el('div', null,
        el('p', { class: 'hello', dir: 'auto' }, texts.hello), texts.intro && el('p', { class: 'intro' }, texts.intro)),
      names.length ? el('div', { class: 'row' }, ...names) : null, ...others, texts.message ? message() : null,
      box('consent', config.consentText || t('consent'), true),
      config.marketingText ? box('marketing', config.marketingText, false) : null,
      alert, button, onSkip ? el('button', { class: 'quiet', type: 'button', onclick: onSkip }, t('skip')) : null);

    function setProblem(name, text) {
      problems[name].textContent = text || '';
      problems[name].hidden = !text;
      inputs[name].setAttribute('aria-invalid', text ? 'true' : 'false');
    }

    function setAlert(text) {
      alert.textContent = text;
      alert.hidden = !text;
    }

    function problemOf(name) {
      const input = inputs[name];
      if (name === 'consent') {
        return input.checked ? '' : t('consentMissing');
      }
      if (input.required && !input.value.trim()) {
        return t('required');
      }
      return input.validity.valid ? '' : name === 'email' ? t('invalidEmail') : input.validationMessage;
    }

    /** While the visitor corrects a field; one that has not been complained about is left in peace. */
    function recheck(name) {
      if (!problems[name].hidden) {
        setProblem(name, problemOf(name));
      }
    }

    function focusFirstProblem() {
      const name = Object.keys(inputs).find((key) => !problems[key].hidden);
      if (name) {
        inputs[name].focus();
      }
      return Boolean(name);
    }

    function showRefusal(error) {
      for (const [name, faults] of Object.entries(error.fields || {})) {
        if (Object.keys(inputs).includes(name)) {
          setProblem(name, String([].concat(faults)[0]));
        }
      }
      if (!focusFirstProblem()) {
        setAlert(errorText(t, error));
      }
    }

    function collect() {
      const texted = (name) => (inputs[name] ? inputs[name].value.trim() : '');
      const collected = Object.fromEntries(FIELDS.map(({ name }) => [name, texted(name)]));
      const answers = {};
      for (const { key, type } of own) {
        const name = `custom_fields.${key}`;
        const text = texted(name);
        if (type === 'boolean') {
          answers[key] = inputs[name].checked;
        } else if (text) {
          answers[key] = type === 'number' ? Number(text) : text;
        }
      }
      return {
        ...collected,
        consent_data_processing: true,
        consent_text_version: config.consentVersion,
        ...(inputs.marketing && { consent_marketing: inputs.marketing.checked }),
        ...(inputs.message && { message: texted('message') }),
        ...(own.length && { custom_fields: answers }),
      };
    }

    async function submit(event) {
      event.preventDefault();
      if (button.getAttribute('aria-disabled') === 'true') {
        return;
      }
      setAlert('');
      Object.keys(inputs).forEach((name) => setProblem(name, problemOf(name)));
      if (focusFirstProblem()) {
        return;
      }
      button.setAttribute('aria-disabled', 'true');
      button.textContent = t('starting');
      try {
        await onSubmit(collect());
      } catch (error) {
        showRefusal(error);
      } finally {
        button.setAttribute('aria-disabled', 'false');
        button.textContent = texts.button;
      }
    }

    return { node: form, focus: () => Object.values(inputs)[0].focus(), setAlert, collect };
  }

  function errorText(t, error) {
    if (error.status === 0) {
      return t('network');
    }
    if (error.status === 429) {
      return t('busy', { n: error.retryAfter || 30 });
    }
    return error.status < 500 && error.message ? error.message : t('broken');
  }

  /** The input line. `onSend(text)` takes the text over, whether or not it can be sent; `onType(isTyping)` hears keys. */
  function createComposer(t, draft, onSend, onType, announce) {
    const text = el('textarea', {
      class: 'text', rows: '1', maxlength: MAX_MESSAGE_LENGTH, placeholder: t('compose'), 'aria-label': t('compose'),
      'aria-describedby': 'counter', enterkeyhint: 'send', dir: 'auto', oninput: typed, onkeydown: keydown,
    }, draft);
    const button = el('button', {
      class: 'send', type: 'submit', 'aria-label': t('send'), title: t('send'),
    }, icon('send'));
    const counter = el('p', { class: 'counter', id: 'counter', hidden: true });
    const box = el('div', { class: 'box' }, text, button);
    const form = el('form', { class: 'composer', onsubmit: submit }, box, counter);

    function refresh() {
      text.style.height = 'auto';
      text.style.height = `${text.scrollHeight}px`;
      const left = MAX_MESSAGE_LENGTH - text.value.length;
      counter.hidden = text.value.length < COUNTER_FROM;
      counter.textContent = counter.hidden ? '' : t('left', { n: left });
      if (left === 0) {
        announce(counter.textContent);
      }
      button.setAttribute('aria-disabled', String(text.readOnly || !text.value.trim()));
    }

    function typed() {
      refresh();
      onType(Boolean(text.value.trim()));
    }

    function keydown(event) {
      // Enter also confirms a candidate in input methods: that one must not send.
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        submit(event);
      }
    }

    function submit(event) {
      event.preventDefault();
      const value = text.value.trim();
      if (value && !text.readOnly) {
        text.value = '';
        onSend(value);
        refresh();
      }
    }

    refresh();
    return {
      node: form,
      focus: () => text.focus(),
      hasText: () => Boolean(text.value.trim()),
      /** Read-only rather than disabled: that keeps the focus, and the on-screen keyboard of a phone. */
      setBusy(busy) {
        text.readOnly = busy;
        refresh();
      },
    };
  }

  /** Draws one message entry into its node; see createChat for the shape of an entry. */
  function createMessageRenderer(t, assistantName, onRate) {
    let serial = 0;

    function retryNote(text, entry) {
      const again = () => {
        entry.node.closest('.log').focus(); // the button is about to disappear
        entry.retry();
      };
      const button = el('button', { class: 'retry', type: 'button', onclick: again }, t('retry'));
      return el('p', { class: 'note' }, text, button);
    }

    function sourceItem(source, n, id) {
      const name = source.document_name || t('source', { n });
      const url = webUrl(source.url);
      const head = [
        el('span', { class: 'number' }, String(n)),
        el('span', { class: 'name' }, el('bdi', null, name),
          source.locator_label && el('span', { class: 'locator' }, el('bdi', null, source.locator_label))),
      ];
      if (!source.excerpt && !url) {
        return el('li', { class: 'source', id, tabindex: '-1' }, el('div', { class: 'head' }, ...head));
      }
      return el('li', { class: 'source' }, el('details', null,
        el('summary', { class: 'head', id }, ...head, icon('down')),
        el('div', { class: 'more' },
          source.excerpt ? el('p', { class: 'excerpt', dir: 'auto' }, source.excerpt) : null,
          url ? externalLink(url, t('openSource'), el('span', { class: 'sr' }, ` (${t('newTab')})`)) : null)));
    }

    function reveal(target) {
      const details = target.closest('details');
      if (details) {
        details.open = true;
      }
      target.focus();
      target.closest('.source').scrollIntoView({ block: 'nearest' });
    }

    /** The reference buttons of an answer and the list that they lead to. */
    function referencesOf(text, sources) {
      const prefix = `source-${(serial += 1)}`;
      const byNumber = new Map(sources.map((source) => [Number(source.source_number), source]));
      // People read them counted from 1 in the order in which the text names them.
      const named = (text.match(MARKERS) || []).flatMap((marker) => marker.match(/\d+/g).map(Number));
      const order = [...new Set([...named.filter((n) => byNumber.has(n)), ...byNumber.keys()])];
      const items = new Map(order.map((n, index) => [n, sourceItem(byNumber.get(n), index + 1, `${prefix}-${n}`)]));
      const shown = (n) => order.indexOf(n) + 1;
      const list = items.size
        ? el('section', { class: 'sources', 'aria-label': t('sources') },
          el('p', { class: 'sources-title', 'aria-hidden': 'true' }, t('sources')), el('ol', null, ...items.values()))
        : null;
      const button = (n) => items.has(n) && el('button', {
        class: 'ref', type: 'button', 'aria-label': `${t('source', { n: shown(n) })}: ${byNumber.get(n).document_name || ''}`,
        onclick: () => reveal(items.get(n).querySelector(`#${prefix}-${n}`) || items.get(n)),
      }, el('span', null, String(shown(n))));
      return { button, urls: new Set(sources.map((source) => webUrl(source.url)).filter(Boolean)), list };
    }

    function ratingOf(entry) {
      const thumb = (value, label, kind) => el('button', {
        class: `rate ${kind}`, type: 'button', 'aria-label': t(label), title: t(label),
        'aria-pressed': String(entry.rating === value),
        onclick: () => onRate(entry, entry.rating === value ? null : value),
      }, icon('up'));
      return el('div', { class: 'rating' }, thumb(1, 'helpful', 'yes'), thumb(-1, 'unhelpful', 'no'));
    }

    function drawUser(entry) {
      const notes = { sending: null, sent: null, unsent: () => retryNote(entry.error || t('unsent'), entry) };
      return [
        el('span', { class: 'sr' }, `${t('you')}: `),
        el('div', { class: 'bubble', dir: 'auto' }, entry.text),
        notes[entry.status] && notes[entry.status](),
      ];
    }

    /** Appears after ten seconds in which nothing more of an answer has come: each piece draws it anew. */
    function slowNote() {
      return el('p', { class: 'note slow' }, t('timeout'));
    }

    function drawAssistant(entry) {
      if (entry.status === 'pending' && !entry.text) {
        const dots = el('span', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i'));
        const words = el('span', { class: 'sr' }, t('typing', { name: assistantName }));
        return [el('div', { class: 'bubble' }, dots, words), slowNote()];
      }
      const finished = entry.status === 'completed';
      const references = finished ? referencesOf(entry.text, entry.sources) : NO_REFERENCES;
      const text = finished ? entry.text : withoutOpenMarker(entry.text);
      return [
        entry.author === null || entry.author === undefined
          ? el('span', { class: 'sr' }, `${assistantName}: `)
          : el('p', { class: 'who' }, el('bdi', null, entry.author || t('person'))),
        text && el('div', { class: 'bubble', dir: 'auto' }, ...richText(text, references)),
        entry.status === 'pending' && slowNote(),
        references.list,
        finished && entry.id && typeof entry.author !== 'string' && ratingOf(entry),
        ['failed', 'timeout'].includes(entry.status) && retryNote(entry.error || t(entry.status), entry),
      ];
    }

    return function draw(entry) {
      entry.node = entry.node || el('div');
      entry.node.className = entry.role === 'system' ? 'system' : `message ${entry.role} ${entry.status}`;
      entry.node.dir = entry.isForeign ? 'auto' : '';
      const drawn = { user: drawUser, assistant: drawAssistant, system: () => [entry.text] };
      const nodes = drawn[entry.role](entry);
      entry.node.replaceChildren(...nodes.filter(Boolean));
      return entry.node;
    };
  }

  function createAvatar(agent, title) {
    const initial = el('span', { 'aria-hidden': 'true' }, [...title.trim()][0] || '?');
    const avatar = el('div', { class: 'avatar' }, initial);
    const url = webUrl(agent.avatar_url);
    if (url) {
      // The page's policy may forbid the image; the initial stays until it has really come.
      const image = el('img', {
        alt: '', referrerpolicy: 'no-referrer', onload: () => avatar.replaceChildren(image),
      });
      image.src = url;
    }
    return avatar;
  }

  /** Keeps Tab inside the open panel; Escape leads out of it. */
  function keepFocusInside(event, panel) {
    const stops = [...panel.querySelectorAll('button, input, textarea, a[href], summary, [tabindex="0"]')]
      .filter((node) => !node.disabled && node.offsetParent !== null);
    const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
    const active = panel.getRootNode().activeElement;
    if (active === edge || (event.shiftKey && active === panel)) {
      event.preventDefault();
      (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
    }
  }

  /**
   * Everything the visitor sees. `actions`: toggle, close, newConversation, register(values), identify(values), skip,
   * leave(values), send(text), type(isTyping), rate(entry, value), openConversation(id), person and conversations().
   * `draft` is what the visitor had typed while the service was down.
   */
  function createView(config, agent, t, draft, actions) {
    const title = config.title || agent.name || t('assistant');
    const subtitle = config.title && agent.name && agent.name !== title ? agent.name : t('assistant');
    const hello = config.welcome || agent.welcome_text || t('welcome', { name: agent.name || title });
    const starters = (Array.isArray(agent.starter_questions) ? agent.starter_questions : []).map(String);
    const direction = RIGHT_TO_LEFT.includes(config.language) ? 'rtl' : 'ltr';
    const phone = matchMedia(PHONE);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    let form = null; // the one that was shown last

    const host = el('div', { id: 'knowrithm-widget' });
    const shadow = host.attachShadow({ mode: 'open' });
    applyStyles(shadow);

    const status = el('div', { class: 'sr', role: 'status', 'aria-live': 'polite' });
    const announce = (text) => { status.textContent = text; };
    const draw = createMessageRenderer(t, title, actions.rate);
    const log = el('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': t('log'), tabindex: '0' });
    const composer = createComposer(t, draft.message, actions.send, actions.type, announce);
    const fresh = el('button', {
      class: 'tool', type: 'button', 'aria-label': t('newChat'), title: t('newChat'), hidden: true,
      onclick: actions.newConversation,
    }, icon('edit'));
    const history = el('button', {
      class: 'tool', type: 'button', 'aria-label': t('conversations'), title: t('conversations'), hidden: true,
      onclick: showConversations,
    }, icon('list'));
    const speaker = el('bdi', null, subtitle);
    const hint = el('p', { class: 'hint', 'aria-live': 'off', hidden: true });
    const person = el('button', { class: 'quiet', type: 'button', hidden: true, onclick: actions.person }, t('person'));
    const header = el('header', { class: 'header' },
      createAvatar(agent, title),
      el('div', { class: 'names' },
        el('h2', { class: 'title', id: 'title' }, el('bdi', null, title)), el('p', { class: 'subtitle' }, speaker)),
      history, fresh,
      el('button', {
        class: 'tool', type: 'button', 'aria-label': t('close'), title: t('close'), onclick: actions.close,
      }, icon('close')));
    const body = el('div', { class: 'body' });
    const branding = config.showBranding && el('p', { class: 'branding' }, t('branding', { name: 'Knowrithm' }));
    const panel = el('section', {
      class: 'panel', id: 'panel', role: 'dialog', 'aria-labelledby': 'title', tabindex: '-1', dir: direction,
      hidden: true,
    }, header, body, branding, status);
    const badge = el('span', { class: 'badge', hidden: true });
    const launcher = el('button', {
      class: config.buttonText ? 'launcher labelled' : 'launcher', type: 'button', dir: direction,
      'aria-expanded': 'false',
      'aria-controls': 'panel', 'aria-haspopup': 'dialog', onclick: actions.toggle,
    }, icon('chat'), icon('down'), config.buttonText && el('span', null, config.buttonText), badge);
    const root = el('div', {
      class: 'root', lang: config.language, 'data-position': config.position,
      onkeydown: keydown, onkeyup: keepKey, onkeypress: keepKey,
    }, launcher, panel);
    shadow.append(root);

    /** Seen from the page, typing here has no input field as its target: its shortcuts must not take it for theirs. */
    function keepKey(event) {
      event.stopPropagation();
    }

    function keydown(event) {
      keepKey(event);
      if (event.key === 'Escape' && !panel.hidden) {
        actions.close();
      } else if (event.key === 'Tab' && !panel.hidden) {
        keepFocusInside(event, panel);
      }
    }

    function paint() {
      const theme = config.theme === 'auto' ? (dark.matches ? 'dark' : 'light') : config.theme;
      const surfaces = theme === 'dark' ? [[22, 24, 29], [35, 38, 46]] : [[255, 255, 255], [242, 244, 247]];
      const accent = parseColor(config.color, root) || parseColor(DEFAULT_COLOR, root);
      const inks = [[255, 255, 255], [17, 20, 24], [0, 0, 0]];
      const ink = inks.find((one) => contrast(accent, one) >= 4.5); // black is enough where white is not
      root.dataset.theme = theme;
      root.style.setProperty('--accent', cssColor(accent));
      root.style.setProperty('--on-accent', cssColor(ink));
      const textColor = surfaces.reduce((color, surface) => readableOn(surface, color), accent);
      root.style.setProperty('--accent-text', cssColor(textColor));
    }

    /** The on-screen keyboard covers part of the page without resizing it. */
    function fitKeyboard() {
      const view = window.visualViewport;
      const covered = phone.matches && !panel.hidden ? innerHeight - view.height - view.offsetTop : 0;
      panel.style.bottom = covered > 1 ? `${covered}px` : '';
    }

    function nameLauncher() {
      const open = !panel.hidden;
      const label = t(open ? 'close' : badge.hidden ? 'open' : 'unread');
      // A visible label has to be part of the name, for those who speak to their computer.
      launcher.setAttribute('aria-label', config.buttonText ? `${config.buttonText}, ${label}` : label);
      launcher.setAttribute('aria-expanded', String(open));
      panel.setAttribute('aria-modal', String(phone.matches));
      root.toggleAttribute('data-open', open);
    }

    function focusInside() {
      if (phone.matches) {
        panel.focus(); // a text field would bring up the keyboard before anything has been read
      } else if (form && form.node.isConnected) {
        form.focus();
      } else if (composer.node.isConnected) {
        composer.focus();
      } else {
        panel.focus();
      }
    }

    function showForm(options) {
      const fields = { ...USUAL, ...config.fields, email: 'required' };
      form = createLeadForm({ t, config, fields, own: config.customFields, ...options });
      return form;
    }

    function showTools(isChat) {
      const count = actions.conversations().length;
      fresh.hidden = !isChat || !log.querySelector('.message.user');
      history.hidden = !isChat || count < 2;
    }

    /** The visitor's conversations in this browser, the newest first. */
    function showConversations() {
      const day = new Intl.DateTimeFormat(config.language, { dateStyle: 'medium', timeStyle: 'short' });
      const items = actions.conversations().map(({ id, title: name, at, isOpen }) => el('li', null, el('button', {
        class: 'item', type: 'button', 'aria-current': isOpen ? 'true' : null,
        onclick: () => actions.openConversation(id),
      }, el('span', { dir: 'auto' }, name || t('untitled')), el('time', null, day.format(at)))));
      showTools(false);
      body.replaceChildren(el('div', { class: 'list' },
        el('h3', null, t('conversations')), el('ul', null, ...items),
        el('button', { class: 'primary', type: 'button', onclick: actions.newConversation }, t('newChat'))));
      body.querySelector('button').focus();
    }

    let cameFrom = null; // where the focus was before the panel took it

    function suggest(questions) {
      if (questions && questions.length) {
        log.append(el('div', { class: 'starters', role: 'group', 'aria-label': t('suggestions') },
          ...questions.map((question) => el('button', {
            class: 'starter', type: 'button', dir: 'auto', onclick: () => actions.send(question),
          }, question))));
      }
    }

    const stuckToEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const scrollToEnd = () => { log.scrollTop = log.scrollHeight; };

    return {
      announce,
      isOpen: () => !panel.hidden,
      setBusy: composer.setBusy,
      mount() {
        document.body.append(host);
        paint();
        nameLauncher();
        dark.addEventListener('change', paint);
        phone.addEventListener('change', nameLauncher);
        if (window.visualViewport) {
          visualViewport.addEventListener('resize', fitKeyboard);
        }
      },
      setOpen(open, { focus }) {
        const hadFocus = Boolean(shadow.activeElement);
        if (open) {
          cameFrom = hadFocus ? launcher : document.activeElement;
        }
        panel.hidden = !open;
        badge.hidden = badge.hidden || open;
        nameLauncher();
        if (open && focus) {
          focusInside();
        } else if (!open && hadFocus) {
          const target = cameFrom && cameFrom.isConnected && cameFrom !== document.body ? cameFrom : launcher;
          target.focus();
        }
        scrollToEnd();
      },
      showForm() {
        showTools(false);
        const texts = { hello, intro: t('intro'), button: t('start') };
        body.replaceChildren(showForm({ texts, values: draft, onSubmit: actions.register }).node);
      },
      /** Below the conversation, in place of the composer. */
      showGate() {
        const texts = { hello: t('intro2'), intro: '', button: t('send') };
        showForm({ texts, onSubmit: actions.identify, onSkip: actions.skip });
        form.node.classList.add('gate');
        const hadFocus = Boolean(shadow.activeElement); // else it is the page's
        composer.node.replaceWith(form.node);
        person.remove();
        if (hadFocus) {
          form.focus();
        }
        scrollToEnd();
      },
      hideGate() {
        form.node.replaceWith(composer.node, person);
        focusInside();
      },
      /** While the service is down. `kept`: something is waiting to be sent. `problem`: why it could not be. */
      showOffline({ values, kept, problem }) {
        showTools(false);
        if (kept) {
          body.replaceChildren(el('div', { class: 'form' },
            el('p', { class: 'hello' }, t('offlineTitle')), el('p', { class: 'info', role: 'status' }, t('kept'))));
          announce(t('kept'));
          panel.focus();
          return;
        }
        const texts = { hello: t('offlineTitle'), intro: t('offline'), button: t('leave'), message: t('message') };
        const fields = { first_name: 'optional', last_name: 'hidden', email: 'required', phone: 'hidden' };
        body.replaceChildren(showForm({ texts, fields, own: [], values, onSubmit: actions.leave }).node);
        if (problem) {
          form.setAlert(t('refused', { reason: problem }));
        }
      },
      showLoading() {
        showTools(false);
        body.replaceChildren(el('div', { class: 'log' }, el('p', { class: 'intro' }, t('loading'))));
      },
      showProblem(error, retry) {
        body.replaceChildren(el('div', { class: 'form' },
          el('p', { class: 'alert', role: 'alert' }, errorText(t, error)),
          el('button', { class: 'primary', type: 'button', onclick: retry }, t('retry'))));
      },
      /** Shows a conversation; `takeFocus` when the visitor has just asked for it. */
      showChat(entries, { takeFocus }) {
        const welcome = draw({ role: 'assistant', status: 'completed', text: hello, sources: [] });
        log.replaceChildren(welcome, ...entries.map(draw));
        const [newest] = entries.slice(-1);
        suggest(newest ? newest.suggestions : starters);
        body.replaceChildren(log, hint, composer.node, person);
        showTools(true);
        if (takeFocus && !panel.hidden) {
          focusInside();
        }
        scrollToEnd();
      },
      /** Offers questions below the newest answer, until the next one is asked. */
      suggest(questions) {
        const follow = stuckToEnd();
        suggest(questions);
        if (follow) {
          scrollToEnd();
        }
      },
      /** Draws a new entry at the end. */
      append(entry) {
        const offered = log.querySelector('.starters');
        if (offered) {
          offered.remove();
          focusInside(); // the pressed button is gone
        }
        log.append(draw(entry));
        showTools(true);
        scrollToEnd();
      },
      /** Draws a changed entry where it is, and follows it only if the reader has not scrolled away. */
      update(entry) {
        const follow = stuckToEnd();
        draw(entry);
        if (follow) {
          scrollToEnd();
        }
      },
      remove: (entry) => entry.node.remove(),
      focusInside,
      typed: () => (form && form.node.isConnected ? form.collect() : {}),
      isReady: () => composer.node.isConnected && !panel.hidden,
      isWriting: () => composer.hasText(),
      /** The visitor always knows who speaks: a person's name, or empty for the agent. */
      setSpeaker(name) { speaker.textContent = name || subtitle; },
      setTyping(text) {
        hint.textContent = text;
        hint.hidden = !text;
      },
      showPerson(isOffered) {
        const hadFocus = shadow.activeElement === person;
        person.hidden = !isOffered;
        if (hadFocus && !isOffered) {
          focusInside();
        }
      },
      destroy() {
        dark.removeEventListener('change', paint);
        phone.removeEventListener('change', nameLauncher);
        if (window.visualViewport) {
          visualViewport.removeEventListener('resize', fitKeyboard);
        }
        host.remove();
      },
      announceAnswer(entry) {
        const bubble = entry.node.querySelector('.bubble');
        announce(bubble ? bubble.textContent : entry.role === 'system' ? entry.text : '');
        if (panel.hidden) {
          badge.hidden = false;
          nameLauncher();
        }
      },
    };
  }

  // ----------------------------------------------------------------------------------------------------- chat

  /**
   * The conversation: sending, following the answers, resuming.
   *
   * An entry is `{role, id, text, status, sources, rating, error, retry, node}`. The status of a visitor's entry is
   * sending, sent or unsent; that of an answer is pending, completed, failed or timeout. An answer also has `question`,
   * the entry it follows, and `deadline`, the time at which patience ends. A system entry is one line for both.
   */
  function createChat({ api, session, config, t, view, emit, metadata, outbox }) {
    let entries = [];
    let follower = null;
    let listener = null;
    let rest = 0; // the timer of a hidden tab
    let isResting = false;
    let owner = 'agent';
    let needsEmail = false; // nobody could answer by mail whom the visitor waits for
    let lastPage = 1;
    let starting = null;
    let saidTyping = 0; // when the person was told last
    let question = ''; // asked by the page before the visitor could
    let told = ''; // of the visit, to the conversation

    const conversationPath = () => `/conversation/${encodeURIComponent(session.get().conversationId)}`;
    const pending = () => entries.filter((entry) => entry.status === 'pending');

    // -- reading the stored messages

    /** Messages from the page on which the newest were last seen; only the first call reads the whole history. */
    async function loadMessages(fromPage) {
      const messages = [];
      for (let page = fromPage; ; page += 1) {
        const path = `${conversationPath()}/messages?page=${page}&per_page=${PAGE_SIZE}&include_pending=true`
          + `&language=${config.language}`;
        const body = await api.authorizedJson('GET', path);
        messages.push(...(body.messages || []));
        lastPage = page;
        if (!body.pagination || !body.pagination.has_next) {
          return messages;
        }
      }
    }

    function entriesOf(messages) {
      const result = [];
      let asked = null;
      for (const message of messages) {
        if (message.role === 'user') {
          asked = { role: 'user', id: message.id, text: message.content, status: 'sent' };
          result.push(asked);
        } else if (message.role === 'system') {
          const notices = message.notices || [];
          result.push({
            role: 'system', id: message.id, text: message.content, status: 'completed',
            isForeign: !notices.length, // not in the widget's own language
            asksAddress: notices.some(({ code }) => String(code).startsWith('leave_address')),
          });
        } else {
          const entry = newAnswer(asked, message.id);
          absorb(entry, message);
          result.push(entry);
        }
      }
      if (asked && result[result.length - 1] === asked && owner !== 'person') {
        result.push(newAnswer(asked, null));
      }
      return result;
    }

    function newAnswer(asked, id) {
      const entry = { role: 'assistant', id, question: asked, text: '', status: 'pending', sources: [], rating: null };
      entry.deadline = Date.now() + ANSWER_TIMEOUT_MS;
      return entry;
    }

    /** Takes over what the server says about an answer. Servers without message status send finished ones only. */
    function absorb(entry, message) {
      const status = message.status || (message.content ? 'completed' : 'pending');
      entry.id = message.id || entry.id;
      entry.rating = message.user_feedback || null;
      entry.author = message.author && message.author.kind === 'person' ? message.author.name || '' : null;
      if (status === 'completed') {
        Object.assign(entry, {
          status, text: message.content || '', sources: citedSources(message), error: null, message,
        });
        entry.suggestions = [].concat(message.suggestions || []).map(String);
      } else if (status === 'failed') {
        fail(entry, 'failed', null);
      } else if ((message.content || '').length > entry.text.length) {
        entry.text = message.content;
        entry.deadline = Date.now() + ANSWER_TIMEOUT_MS;
      }
    }

    function citedSources(message) {
      return Array.isArray(message.sources) ? message.sources.filter((source) => source && source.cited !== false) : [];
    }

    function fail(entry, status, error) {
      entry.status = status;
      entry.error = error;
      // After a timeout the answer may still come, so we go on waiting; a failed one has to be asked for again.
      entry.retry = status === 'timeout' ? () => waitAgain(entry) : () => askAgain(entry);
    }

    // -- sending

    async function send(text) {
      const entry = { role: 'user', id: null, text, status: 'sending' };
      entry.retry = () => post(entry);
      entries.push(entry);
      await post(entry);
    }

    /** A visitor who need not say who they are becomes one with the first question, not by opening the window. */
    function ready() {
      starting = starting || begun().finally(() => { starting = null; }); // two questions at once are one visitor's
      return starting;
    }

    async function begun() {
      if (!session.get().accessToken) {
        await api.visit();
      }
      if (!session.get().conversationId) {
        await startConversation();
      }
    }

    /** What is known of the visit. */
    const facts = () => ({ ...metadata, page_title: document.title, page_url: location.origin + location.pathname });

    async function post(entry) {
      if (entry.posting) {
        return;
      }
      entry.posting = true;
      entry.status = 'sending';
      saidTyping = 0;
      view.append(entry); // a message sent again moves to the end, where the server will have it
      view.setBusy(true);
      try {
        await ready();
        const visited = JSON.stringify(facts());
        const body = await api.authorizedJson('POST', `${conversationPath()}/chat`, {
          body: { message: entry.text, language: config.language, ...(visited !== told && { metadata: facts() }) },
        });
        told = visited;
        entry.id = body.message_id || null;
        entry.status = 'sent';
        const known = session.get().conversations.find(({ id }) => id === session.get().conversationId);
        session.note({ title: (known && known.title) || entry.text.slice(0, 80) });
        entries = [...entries.filter((other) => other !== entry), entry];
        view.update(entry);
        offerPerson();
        listen();
        if (!('assistant_message_id' in body) || body.assistant_message_id) {
          const answer = newAnswer(entry, body.assistant_message_id || null);
          entries.push(answer);
          view.append(answer);
          view.announce(t('typing', { name: config.name }));
          follow();
        } // else a person has the conversation
      } catch (error) {
        if (error.status === 401) {
          session.clear(); // the token is gone for good: trying again begins anew
        }
        entry.status = 'unsent';
        entry.error = `${t('unsent')} ${errorText(t, error)}`;
        view.update(entry);
        view.announce(entry.error);
      } finally {
        entry.posting = false;
        view.setBusy(false);
      }
    }

    async function rate(entry, value) {
      const before = entry.rating;
      entry.rating = value;
      redraw(entry);
      try {
        const path = `/message/${encodeURIComponent(entry.id)}/feedback`;
        await api.authorizedJson('POST', path, { body: { rating: value } });
        view.announce(t('thanks'));
      } catch (error) {
        entry.rating = before;
        redraw(entry);
        view.announce(errorText(t, error));
      }
    }

    /** With the focus where it was, as drawing makes new buttons. */
    function redraw(entry) {
      const active = entry.node.getRootNode().activeElement;
      const index = [...entry.node.querySelectorAll('.rate')].indexOf(active);
      view.update(entry);
      if (index >= 0) {
        entry.node.querySelectorAll('.rate')[index].focus();
      }
    }

    // -- a person instead of the agent

    function offerPerson() {
      const isAsked = owner === 'waiting' || owner === 'person';
      view.showPerson(config.handover && Boolean(session.get().conversationId) && !isAsked);
    }

    /** Who answers from now on: `{owner, person, needs_email}`. */
    function setOwner(told) {
      owner = told.owner || 'agent';
      needsEmail = told.needs_email === true;
      view.setSpeaker(owner === 'person' && told.person ? told.person.name : '');
      if (owner === 'person') { // what the agent was about to say is withdrawn
        pending().forEach((entry) => view.remove(entry));
        entries = entries.filter((entry) => entry.status !== 'pending');
      }
      offerPerson();
    }

    async function loadOwner() {
      await api.authorizedJson('GET', `${conversationPath()}/handover`).then(setOwner).catch(() => {});
    }

    /** The person who has the conversation is told that the visitor writes, every few seconds, and that they stopped. */
    function type(isTyping) {
      if (owner !== 'person' || (isTyping ? Date.now() - saidTyping < TYPING_MS : !saidTyping)) {
        return;
      }
      saidTyping = isTyping ? Date.now() : 0;
      api.authorizedJson('POST', `${conversationPath()}/typing`, { body: { is_typing: isTyping } }).catch(() => {});
    }

    async function askForPerson() {
      const count = entries.length;
      let text = t('personAsked');
      try {
        const told = await api.authorizedJson('POST', `${conversationPath()}/handover`, { body: {} });
        setOwner({ owner: 'waiting', ...told });
        await watch(); // the service may have said it in words of its own
        listen();
      } catch (error) {
        text = isDown(error) ? errorText(t, error) : t('personFailed');
      }
      if (entries.length === count) {
        said({ role: 'system', id: null, text, status: 'completed' });
      }
      askWho();
    }

    /** Something that is nobody's answer. */
    function said(entry) {
      if (entry.id && entries.some(({ id }) => id === entry.id)) {
        return;
      }
      entries.push(entry);
      view.append(entry);
      received(entry);
    }

    function received(entry) {
      view.announceAnswer(entry);
      askWho();
      if (entry.message) {
        emit('message.received', { conversationId: session.get().conversationId, message: entry.message });
      }
    }

    /**
     * People write when they like, also where they cannot be asked for: as long as the conversation is shown, it is
     * listened to, or else looked for.
     */
    async function listen(isBack) {
      if (listener || !session.get().conversationId) {
        return;
      }
      const run = { stopped: false, lastEventId: '', fails: 0 };
      listener = run;
      look();
      for (let isAgain = isBack; !run.stopped; isAgain = true) {
        const begun = Date.now();
        let isHeard = false;
        const live = () => {
          if (isAgain && !isHeard) {
            catchUp(); // what was said since the last connection
          }
          isHeard = true;
        };
        try {
          for await (const event of events(run, '?follow=true', live)) {
            run.lastEventId = event.id || run.lastEventId;
            if (run.stopped) {
              return;
            }
            hear(event.name, parseJson(event.data));
          }
        } catch {
          // it is tried again
        }
        // Where something on the way holds a stream back, not even its beginning comes.
        run.fails = isHeard && Date.now() - begun >= WATCH_MS ? 0 : run.fails + 1;
        if (!run.stopped && run.fails) {
          await catchUp();
          await sleep(WATCH_MS * Math.min(run.fails, 8));
        }
      }
    }

    /** Who listens counts as here and is sent no mail: a tab that is hidden for long does not, until it is seen. */
    function look() {
      clearTimeout(rest);
      if (document.hidden) {
        rest = setTimeout(() => {
          isResting = isResting || Boolean(listener);
          stop(listener);
          listener = null;
        }, HIDDEN_MS);
      } else if (isResting) {
        isResting = false;
        listen(true);
      }
    }

    document.addEventListener('visibilitychange', look);

    function stop(run) {
      if (run) {
        run.stopped = true;
        run.controller.abort();
      }
    }

    /** The events of one connection, to its end. The server speaks at once; one that stays silent is given up. */
    async function* events(run, query, live = () => {}) {
      const controller = new AbortController();
      let silence = 0;
      const wait = (ms) => {
        clearTimeout(silence);
        silence = setTimeout(() => controller.abort(), ms);
      };
      run.controller = controller;
      wait(START_TIMEOUT_MS);
      try {
        const headers = { Accept: 'text/event-stream', ...(run.lastEventId && { 'Last-Event-ID': run.lastEventId }) };
        const path = `${conversationPath()}/messages/stream${query}`;
        const response = await api.authorized('GET', path, { headers, signal: controller.signal });
        if (!response.body || !/event-stream/.test(response.headers.get('Content-Type'))) {
          throw new ApiError(0, null, null);
        }
        yield* readEvents(response.body, () => {
          wait(STREAM_SILENCE_MS);
          live();
        });
      } finally {
        clearTimeout(silence);
      }
    }

    function hear(name, data) {
      if (name === 'chat_owner') {
        setOwner(data);
        askWho();
      } else if (name === 'chat_typing' && data.author && data.author.kind !== 'visitor') {
        view.setTyping(data.is_typing ? t('typing', { name: data.author.name || config.name }) : '');
      } else if (name === 'chat_message' && data.message && data.message.role !== 'user') {
        view.setTyping('');
        entriesOf([data.message]).forEach(said);
      }
    }

    async function catchUp() {
      await watch();
      await loadOwner();
      askWho();
    }

    /** What was said since the last look. */
    async function watch() {
      try {
        const messages = await loadMessages(lastPage);
        pending().forEach((entry) => reconcile(entry, messages)); // or its answer would be shown twice
        entriesOf(messages.filter(({ role }) => role !== 'user')).filter((entry) => entry.id).forEach(said);
      } catch {
        // the next look may succeed
      }
    }

    function askAgain(entry) {
      entries = entries.filter((other) => other !== entry);
      view.remove(entry);
      post(entry.question);
    }

    function waitAgain(entry) {
      Object.assign(entry, { status: 'pending', error: null, deadline: Date.now() + ANSWER_TIMEOUT_MS });
      view.update(entry);
      follow();
    }

    // -- following the answers: by stream, else by polling

    /** One follower serves all pending answers of the conversation. */
    async function follow() {
      if (follower || !pending().length) {
        return;
      }
      const run = { stopped: false, lastEventId: '', fails: 0 };
      const clock = setInterval(() => expire(run), 1000);
      follower = run;
      try {
        while (!run.stopped && pending().length && (await readStream(run))) {
          await sleep(300);
        }
        await poll(run);
      } finally {
        clearInterval(clock);
        run.controller.abort();
        if (follower === run) {
          follower = null;
          follow(); // a question may have been sent while this run was ending
        }
      }
    }

    function expire(run) {
      for (const entry of pending()) {
        if (Date.now() > entry.deadline) {
          fail(entry, 'timeout', null);
          view.update(entry);
          view.announce(t('timeout'));
        }
      }
      if (!pending().length) {
        run.controller.abort();
      }
    }

    /** One connection, to its end. True when another one is worth a try, false when polling has to take over. */
    async function readStream(run) {
      let isNew = !run.lastEventId;
      try {
        for await (const event of events(run, '')) {
          if (isNew) {
            pending().forEach((entry) => { entry.text = ''; }); // the server begins the answer anew
            isNew = false;
          }
          receive(run, event);
          if (run.stopped || !pending().length) {
            return false;
          }
        }
      } catch (error) {
        if (error instanceof ApiError) {
          return false;
        }
      }
      run.fails += 1;
      return run.fails <= STREAM_RECONNECTS && !run.controller.signal.aborted;
    }

    function receive(run, event) {
      const data = parseJson(event.data);
      if (run.stopped || (data.conversation_id && data.conversation_id !== session.get().conversationId)) {
        return;
      }
      run.lastEventId = event.id || run.lastEventId;
      if (event.name === 'chat_delta') {
        const entry = answerOf(data.message_id);
        const attempt = data.attempt || 1;
        if (entry && typeof data.text === 'string' && attempt >= (entry.attempt || 1)) {
          run.fails = 0;
          // Another worker begins the answer anew where the first one has died.
          entry.text = attempt > (entry.attempt || 1) ? data.text : entry.text + data.text;
          entry.attempt = attempt;
          entry.deadline = Date.now() + ANSWER_TIMEOUT_MS;
          view.update(entry);
        }
      } else if (event.name === 'chat_response') {
        const message = data.message && typeof data.message === 'object' ? data.message : {};
        if (message.role === 'system') { // the question was delivered to a person
          return;
        }
        const entry = answerOf(message.id);
        run.lastEventId = ''; // the next answer is a new stream
        if (entry) {
          run.fails = 0;
          finish(entry, { ...message, status: data.status || 'completed' });
        }
      }
    }

    /** The waiting answer with this id, or the first one whose id is not known yet. Finished ones are not touched. */
    function answerOf(id) {
      const known = id && entries.find((entry) => entry.id === id);
      const entry = known || pending().find((candidate) => !candidate.id || !id);
      if (!entry || entry.status !== 'pending') {
        return null;
      }
      entry.id = entry.id || id || null;
      return entry;
    }

    function finish(entry, message) {
      const before = entry.text;
      absorb(entry, message);
      if (entry.status !== 'pending' || entry.text !== before) {
        view.update(entry);
      }
      if (entry.status === 'completed') {
        if (entry === entries[entries.length - 1]) {
          view.suggest(entry.suggestions);
        }
        session.update({ answers: session.get().answers + 1 });
        received(entry);
      } else if (entry.status === 'failed') {
        view.announce(t('failed'));
        askWho();
      }
    }

    async function poll(run) {
      for (let count = 0; !run.stopped && pending().length; count += 1) {
        let wait = count < FAST_POLLS ? Math.min(FAST_POLL_MS, config.pollingInterval) : config.pollingInterval;
        try {
          const messages = await loadMessages(lastPage);
          if (!run.stopped) {
            pending().forEach((entry) => reconcile(entry, messages));
          }
        } catch (error) {
          wait = error.retryAfter ? error.retryAfter * 1000 : config.pollingInterval;
        }
        if (pending().length) {
          await sleep(wait);
        }
      }
    }

    function reconcile(entry, messages) {
      const claimed = new Set(entries.filter((other) => other !== entry).map((other) => other.id));
      const from = entry.question ? messages.findIndex((message) => message.id === entry.question.id) : -1;
      const message = messages.find((candidate, index) => (entry.id
        ? candidate.id === entry.id
        : from >= 0 && index > from && candidate.role === 'assistant' && !claimed.has(candidate.id)));
      if (message) {
        finish(entry, message);
      }
    }

    // -- conversations

    async function startConversation() {
      const visited = facts();
      const body = await api.authorizedJson('POST', '/conversation', {
        body: { agent_id: config.agentId, title: 'Website Chat', language: config.language, metadata: visited },
      });
      const conversationId = (body.conversation && body.conversation.id) || body.id;
      if (!conversationId) {
        throw new ApiError(500, null, null);
      }
      told = JSON.stringify(visited);
      session.update({ conversationId });
      session.note({});
      emit('conversation.started', { conversationId });
    }

    function leaveConversation() {
      stop(follower);
      stop(listener);
      follower = null;
      listener = null;
      isResting = false;
      told = '';
      entries = [];
      lastPage = 1;
      owner = 'agent';
      needsEmail = false;
      view.setSpeaker('');
      view.setTyping('');
    }

    async function loadHistory() {
      try {
        await loadOwner();
        entries = entriesOf(await loadMessages(1));
      } catch (error) {
        if (error.status !== 404) {
          throw error;
        }
        // it has been deleted
        const gone = session.get().conversationId;
        session.update({ conversations: session.get().conversations.filter(({ id }) => id !== gone) });
        leaveConversation();
        await startConversation();
      }
    }

    function show(options) {
      view.showChat(entries, options);
      offerPerson();
      askWho();
      follow();
      listen();
      sendAsked();
    }

    /** What the page has asked before the visitor could. */
    function sendAsked() {
      const text = question;
      if (text && view.isReady()) {
        question = '';
        send(text);
      }
    }

    /** What the visitor sees first: the form, or the conversation that was open. */
    async function begin(options) {
      if (outbox.get()) {
        view.showOffline({ kept: true });
      } else if (session.get().accessToken) {
        await resume(options);
      } else if (config.ask === 'before') {
        view.showForm();
      } else {
        show(options);
      }
    }

    /** Opens the stored conversation, or a new one, for a visitor who is known. */
    async function resume({ takeFocus }) {
      view.showLoading();
      try {
        if (!session.get().conversationId) {
          await startConversation();
        }
        await loadHistory();
        show({ takeFocus });
      } catch (error) {
        if (error.status === 401 || error.status === 403 || error.status === 422) {
          session.clear();
          leaveConversation();
          begin({ takeFocus });
        } else {
          view.showProblem(error, () => resume({ takeFocus: true }));
        }
      }
    }

    /** Registers the visitor; errors are shown by the form, which calls this, or by the one for bad times. */
    async function register(values) {
      try {
        await api.register({ ...values, agent_id: config.agentId });
      } catch (error) {
        if (!isDown(error) || error.status === 429) {
          throw error;
        }
        view.showOffline({ values: { ...values, message: question } });
        return;
      }
      await startConversation();
      await loadHistory();
      show({ takeFocus: true });
    }

    // -- who they are: after some answers, or where to answer when nobody comes

    /** The newest line that asks for an address, which the visitor may decline; they are asked again by another one. */
    const asking = () => (entries.filter((entry) => entry.asksAddress).pop() || { id: 'owner' }).id;

    function askWho() {
      const { leadPayload, answers, skipped, conversationId, conversations: all } = session.get();
      const { declined } = all.find(({ id }) => id === conversationId) || {};
      const isDue = config.ask === 'after' && !leadPayload && !skipped && answers >= config.askAfter;
      const isWanted = needsEmail && declined !== asking() && !view.isWriting();
      if ((isDue || isWanted) && !pending().length && view.isReady()) {
        view.showGate();
      }
    }

    async function identify(values) {
      await api.authorizedJson('PATCH', '/lead/visitor', { body: values });
      const { custom_fields: answers, ...known } = values;
      session.update({ leadPayload: { ...known, agent_id: config.agentId } });
      if (owner === 'waiting') { // where to answer, should nobody come in time
        const path = `${conversationPath()}/handover/address`;
        await api.authorizedJson('POST', path, { body: { email: values.email } }).catch(() => {});
        needsEmail = false;
      }
      view.hideGate();
      sendAsked();
    }

    function skip() {
      session.update({ skipped: true });
      if (needsEmail) {
        session.note({ declined: asking() });
      }
      view.hideGate();
      sendAsked();
    }

    async function newConversation() {
      view.showLoading();
      leaveConversation();
      try {
        await startConversation();
        show({ takeFocus: true });
      } catch (error) {
        view.showProblem(error, newConversation);
      }
    }

    function openConversation(id) {
      if (id !== session.get().conversationId) {
        leaveConversation();
        session.update({ conversationId: id });
      }
      return resume({ takeFocus: true });
    }

    /** What another tab of the same visitor has done shows here too, unless this one is about to send. */
    function refresh() {
      if (entries.some((entry) => entry.posting)) {
        return;
      }
      const { conversationId } = session.get();
      if (!conversationId || !session.get().accessToken) {
        return;
      }
      leaveConversation();
      loadHistory().then(() => show({ takeFocus: false })).catch(() => {});
    }

    function ask(text) {
      question = String(text).trim().slice(0, MAX_MESSAGE_LENGTH);
      sendAsked();
    }

    function destroy() {
      document.removeEventListener('visibilitychange', look);
      leaveConversation();
    }

    const conversations = () => session.get().conversations
      .map((one) => ({ ...one, isOpen: one.id === session.get().conversationId }));

    return {
      ask, askForPerson, askWho, begin, conversations, destroy, identify, leave: outbox.put, newConversation,
      openConversation, rate, refresh, register, send, skip, type,
    };
  }

  /**
   * A message that was left while the service was down. It stays in the browser until the service has taken it: as a
   * registration, and its text as the first question of a conversation.
   */
  function createOutbox({ api, session, config, emit }) {
    const key = `knowrithm-outbox::${config.agentId}`;
    const store = openStore(key, true);
    let item = store.read();
    let running = false;
    let tries = 0;
    let timer = 0;
    let onChange = () => {};

    function keep(value) {
      item = value;
      store.write(value);
    }

    async function deliver() {
      const { message, problem, sentTo, ...payload } = item;
      if (!sentTo) {
        await api.register({ ...payload, agent_id: config.agentId });
        const body = await api.authorizedJson('POST', '/conversation', {
          body: { agent_id: config.agentId, title: 'Website Chat', language: config.language },
        });
        const conversationId = (body.conversation && body.conversation.id) || body.id;
        session.update({ conversationId });
        session.note({ title: message.slice(0, 80) });
        keep({ ...item, sentTo: conversationId }); // so that trying again does not ask twice
      }
      if (message) {
        const path = `/conversation/${encodeURIComponent(item.sentTo)}/chat`;
        await api.authorizedJson('POST', path, { body: { message } });
      }
    }

    async function flush() {
      if (!running) {
        clearTimeout(timer);
        running = true;
        // One tab at a time. Where there are no locks (pages without TLS), they hardly begin together. What the tab
        // before has stored is not read at once by this one, which may be another process.
        const { locks } = navigator;
        const soon = () => sleep(STORED_MS).then(attempt);
        try {
          await (locks ? locks.request(key, soon) : sleep(Math.random() * 3000).then(attempt)).catch(attempt);
        } finally {
          running = false;
        }
      }
    }

    async function attempt() {
      const before = item;
      item = store.read();
      if (!item || item.problem) {
        if (before && !before.problem) {
          onChange(item ? 'refused' : 'delivered'); // by way of another tab
        }
        return;
      }
      try {
        await deliver();
        keep(null);
        emit('message.delivered');
        onChange('delivered');
      } catch (error) {
        if (isDown(error)) {
          timer = setTimeout(flush, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
          tries += 1;
        } else {
          keep({ ...item, problem: error.message || String(error.status || error) }); // the visitor has to mend it
          onChange('refused');
        }
      }
    }

    addEventListener('online', flush);
    return {
      flush,
      /** What waits to be sent; null also for what was refused, which `refused()` has. */
      get: () => (item && !item.problem ? item : null),
      refused: () => (item && item.problem ? item : null),
      async put(values) {
        keep({ ...values });
        tries = 0;
        onChange('kept');
        flush();
      },
      watch(listener) { onChange = listener; },
    };
  }

  // -------------------------------------------------------------------------------------------------- start-up

  function tellParent(origin, message) {
    try {
      window.parent.postMessage(message, origin);
    } catch {
      // no origin, or nothing that can be sent
    }
  }

  /** Tells the page; whatever its listeners and callbacks do stays their own affair. */
  function createEmitter(config) {
    const callbackOf = {
      ready: 'onLoad', 'message.received': 'onMessage', 'widget.closed': 'onClose', error: 'onError',
    };
    return (name, detail = {}) => {
      const full = { agentId: config.agentId, ...detail };
      if (name !== 'error') {
        window.dispatchEvent(new CustomEvent(`knowrithm:${name}`, { detail: full }));
        if (window.parent !== window) { // the page that frames this one, if it was named
          config.messageOrigins.forEach((origin) => tellParent(origin, { type: `knowrithm:${name}`, detail: full }));
        }
      }
      const callback = config.callbacks[callbackOf[name]];
      if (typeof callback === 'function') {
        try {
          callback(full);
        } catch (error) {
          console.error('Knowrithm widget: a callback of the page failed.', error);
        }
      }
    };
  }

  /** Builds the widget on the page and returns its switch. Without an `agent` the service is down. */
  function assemble({ config, texts, agent, draft, api, session, outbox, emit, metadata }) {
    const t = translator(texts);
    let started = false;
    let chat = null;

    const view = createView(config, agent || {}, t, draft, {
      toggle: () => setOpen(!view.isOpen(), { focus: true }),
      close: () => setOpen(false, { focus: false }),
      register: (values) => chat.register(values),
      identify: (values) => chat.identify(values),
      skip: () => chat.skip(),
      leave: (values) => chat.leave(values),
      newConversation: () => chat.newConversation(),
      openConversation: (id) => chat.openConversation(id),
      conversations: () => chat.conversations(),
      person: () => chat.askForPerson(),
      rate: (entry, value) => chat.rate(entry, value),
      send: (text) => chat.send(text),
      type: (isTyping) => chat && chat.type(isTyping),
    });
    const name = config.title || (agent && agent.name) || t('assistant');
    chat = createChat({ api, session, config: { ...config, name }, t, view, emit, metadata, outbox });

    function begin(takeFocus) {
      const refused = outbox.refused();
      if (refused) {
        view.showOffline({ values: refused, problem: refused.problem });
      } else if (!agent) {
        view.showOffline({ kept: Boolean(outbox.get()), values: session.get().leadPayload || {} });
      } else {
        chat.begin({ takeFocus });
      }
    }

    function setOpen(open, { focus }) {
      if (open === view.isOpen()) {
        return;
      }
      view.setOpen(open, { focus: false });
      // The history is fetched when the visitor first wants it, not on every page view.
      if (open && !started) {
        started = true;
        begin(focus);
      }
      if (open && focus) {
        view.focusInside();
      }
      if (open && agent) {
        chat.askWho();
      }
      emit(open ? 'widget.opened' : 'widget.closed');
    }

    outbox.watch((what) => {
      if (what === 'delivered') {
        view.announce(t('delivered'));
      }
      if (started) {
        begin(false);
      }
    });
    session.onChange(() => {
      if (started && agent) {
        chat.refresh();
      }
    });
    view.mount();
    return {
      setOpen,
      isOpen: view.isOpen,
      ask(text) {
        setOpen(true, { focus: true });
        if (agent) {
          chat.ask(text);
        } else {
          view.showOffline({ values: { ...view.typed(), message: text } });
        }
      },
      typed: view.typed,
      destroy() {
        chat.destroy();
        view.destroy();
      },
    };
  }

  const backOnline = () => new Promise((resolve) => addEventListener('online', resolve, { once: true }));

  function documentReady() {
    return document.readyState === 'loading'
      ? new Promise((resolve) => document.addEventListener('DOMContentLoaded', resolve, { once: true }))
      : Promise.resolve();
  }

  /** The public switch of the page; calls made before the widget is there are kept. None of them throws. */
  function publishApi(metadata) {
    const remote = { widget: null, wanted: false, question: '' };
    const set = (open) => {
      remote.wanted = open;
      if (remote.widget) {
        remote.widget.setOpen(open, { focus: true });
      }
    };
    const safely = (action) => (...values) => {
      try {
        action(...values);
      } catch (error) {
        console.error('Knowrithm widget: this could not be done.', error);
      }
    };
    window.KnowrithmWidget = Object.freeze({
      open: safely(() => set(true)),
      close: safely(() => set(false)),
      toggle: safely(() => set(remote.widget ? !remote.widget.isOpen() : !remote.wanted)),
      /** Opens the window and asks; a visitor who has to say first who they are does that before. */
      ask: safely((text) => {
        if (typeof text === 'string' && text.trim()) {
          remote.wanted = true;
          if (remote.widget) {
            remote.widget.ask(text);
          } else {
            remote.question = text;
          }
        }
      }),
      /** Facts about the visit that are stored with the conversation, with the next question at the latest. */
      updateMetadata: safely((facts) => { Object.assign(metadata, facts); }),
    });
    return remote;
  }

  /** `{type: 'knowrithm:open'}` and the like, from the page itself and from the origins that it names. */
  function obeyMessages(config) {
    addEventListener('message', ({ origin, data }) => {
      const isTrusted = origin !== 'null' && (origin === location.origin || config.messageOrigins.includes(origin));
      const named = isTrusted && data && /^knowrithm:(open|close|toggle|ask|updateMetadata)$/.exec(data.type);
      const [, action] = named || [];
      if (action) {
        window.KnowrithmWidget[action](action === 'ask' ? data.text : data.metadata);
      }
    });
  }

  async function start() {
    const metadata = {};
    const remote = publishApi(metadata);
    let emit = () => {};
    try {
      const sources = readSources(ownScript);
      const config = readConfig(sources);
      window.AIChatWidgetConfig = config;
      emit = createEmitter(config);
      if (!config.agentId) {
        throw new Error('data-agent-id is missing');
      }
      obeyMessages(config);
      const session = openSession(config.agentId, config.persistSession);
      const api = createApi(config.api, session, config.agentId);
      const outbox = createOutbox({ api, session, config, emit });
      await sleep(config.initialDelay);
      const firstTexts = loadTexts(config.api, config.language);
      let coming = api.loadAgent(); // while the page is still being read
      coming.catch(() => {});
      await documentReady();

      /** Puts the widget on the page, in place of the one for bad times if there is one. */
      async function put(agent) {
        const settled = readConfig(sources, agent || {});
        const isOther = settled.language !== config.language;
        const spoken = await (isOther ? loadTexts(config.api, settled.language) : firstTexts);
        const shown = { ...settled, language: spoken.language };
        const { widget, question, wanted } = remote;
        const wasOpen = widget ? widget.isOpen() : wanted;
        const draft = widget ? widget.typed() : {};
        if (widget) {
          widget.destroy();
        }
        window.AIChatWidgetConfig = shown;
        const { texts } = spoken;
        remote.question = '';
        remote.widget = assemble({ config: shown, texts, agent, draft, api, session, outbox, emit, metadata });
        if (question) {
          remote.widget.ask(question);
        } else if (wasOpen || shown.autoOpen) {
          remote.widget.setOpen(true, { focus: wanted }); // opening by itself must not take the focus
        }
      }

      async function connect(tries) {
        let agent = null;
        try {
          agent = { ...await (coming || api.loadAgent()), ...sources.page.agent }; // a designer shows what is not saved yet
        } catch (error) {
          coming = null;
          if (!isDown(error)) {
            throw error;
          }
          if (!remote.widget) {
            await put(null);
            console.warn('Knowrithm widget: the service cannot be reached. Messages are kept until it can.');
            emit('error', { error });
          }
          await Promise.race([sleep(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]), backOnline()]);
          await connect(tries + 1);
          return;
        }
        if (given(agent.status, 'active') !== 'active') {
          console.info('Knowrithm widget: not shown, as the agent is not active.');
          if (remote.widget) {
            remote.widget.destroy();
            remote.widget = null;
          }
          return;
        }
        await put(agent);
        emit('ready');
        // Without query and fragment: they may carry secrets of the page's own visitors.
        const page = { url: location.origin + location.pathname, title: document.title };
        api.handshake({ agent_id: config.agentId, ...page, trigger_crawl: false }).catch(() => {});
        outbox.flush();
      }

      await connect(0);
    } catch (error) {
      console.warn('Knowrithm widget: not shown.', error.message || 'The service could not be reached.');
      if (remote.widget) {
        remote.widget.destroy();
        remote.widget = null;
      }
      emit('error', { error });
    }
  }

  start();
})();
