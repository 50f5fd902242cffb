// Where the line goes: which addresses are accepted, and which health address belongs to one.
// It knows no provider functions and asks nobody: a value in, a URL out.

import { checkOption, type Rule } from '../core/options.ts'
import { redactUrl } from '../core/redact.ts'

const refusal: Rule = {
  expected: 'a ws:, wss:, http: or https: URL, or a function that returns one',
  accepts: () => false,
}

/**
 * The address to dial: `http` and `https` become `ws` and `wss`, a fragment is cut off (a WebSocket URL has none,
 * RFC 6455 section 3), a relative one is resolved against the page where there is a page.
 * @throws TypeError (`code: 'INVALID_OPTION'`); secrets in the query do not reach its message
 */
export function toWebSocketUrl(value: unknown): URL {
  const given = typeof value === 'string' || value instanceof URL
  // `location` is the page's or the worker's; Node has none, and there a relative URL is a mistake.
  const base = globalThis.location?.href
  const url = given && URL.canParse(value, base) ? new URL(value, base) : undefined
  const scheme = url?.protocol.replace('http', 'ws')
  if (!url?.hostname || (scheme !== 'ws:' && scheme !== 'wss:')) {
    return checkOption('GuruConnection', 'url', given ? redactUrl(value) : value, refusal) as never
  }
  url.protocol = scheme
  url.hash = ''
  return url
}

/** The address to poll while the line is down: `healthUrl` on the HTTP origin of `url`, or an address of its own. */
export function toHealthUrl(url: URL, healthUrl: string): string {
  const origin = new URL(url)
  origin.protocol = url.protocol.replace('ws', 'http')
  origin.username = ''
  origin.password = ''
  return new URL(healthUrl, origin).href
}
