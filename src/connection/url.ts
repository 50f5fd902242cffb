// Where the line goes: which addresses are accepted, and which health address belongs to one.
// It knows no provider functions and asks nobody: a value in, a URL out.

import { redactUrl } from '../core/redact.ts'

const SCHEMES: Readonly<Record<string, string>> = {
  'ws:': 'ws:',
  'wss:': 'wss:',
  'http:': 'ws:',
  'https:': 'wss:',
}

const EXPECTED = 'a ws:, wss:, http: or https: URL, or a function that returns one'

function urlError(got: string): TypeError {
  const error = new TypeError(`GuruConnection: option "url" must be ${EXPECTED}, got ${got}`)
  return Object.assign(error, { code: 'INVALID_OPTION', option: 'url' })
}

/**
 * The address to dial: `http` and `https` become `ws` and `wss`, a fragment is cut off (a WebSocket URL has none,
 * RFC 6455 section 3), a relative one is resolved against the page where there is a page.
 * @throws TypeError (`code: 'INVALID_OPTION'`); secrets in the query do not reach its message
 */
export function toWebSocketUrl(value: unknown): URL {
  if (typeof value !== 'string' && !(value instanceof URL)) {
    throw urlError(value === null ? 'null' : typeof value)
  }
  let url: URL
  try {
    // `location` is the page's or the worker's; Node has none, and there a relative URL is a mistake.
    url = new URL(value, globalThis.location?.href)
  } catch {
    throw urlError(`"${redactUrl(value)}"`)
  }
  const scheme = SCHEMES[url.protocol]
  if (scheme === undefined || url.hostname === '') throw urlError(`"${redactUrl(url)}"`)
  url.protocol = scheme
  url.hash = ''
  return url
}

/** The address to poll while the line is down: `healthUrl` on the HTTP origin of `url`, or an address of its own. */
export function toHealthUrl(url: URL, healthUrl: string): string {
  const origin = new URL(url)
  origin.protocol = url.protocol === 'wss:' ? 'https:' : 'http:'
  origin.username = ''
  origin.password = ''
  return new URL(healthUrl, origin).href
}
