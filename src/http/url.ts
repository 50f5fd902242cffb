// Where a request goes: joins a call's URL with the base and never lets it leave the origins it may reach.
// (axios CVE-2024-39338 and CVE-2025-27152: absolute and `//host` URLs escaped the base, with the base's credentials.)

import { badRequest, CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { tagOf } from './bodyKinds.ts'

/** A URL taken apart once, as requests need it. */
export interface Target {
  /** Scheme, host and port. */
  readonly origin: string
  /** Path and query, percent-encoded, no fragment. */
  readonly path: string
  /** Path alone: what limits and telemetry go by. */
  readonly pathname: string
}

/** The part that every relative URL is appended to. */
export interface BaseUrl {
  readonly origin: string
  /** Without a slash at the end; empty for the root. */
  readonly prefix: string
}

/** Where requests may go. */
export interface OriginRules {
  readonly base: BaseUrl | undefined
  /** Beside the origin of the base. With neither, any http(s) origin may be reached. */
  readonly allowedOrigins: ReadonlySet<string>
  /** Whether `http:` is allowed to other hosts than this machine. */
  readonly allowInsecure: boolean
}

/** What the URL parser drops without a word (WHATWG URL 4.4): done first, so that nothing hides behind it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const IGNORED = /^[\x00-\x20]+|[\x00-\x20]+$|[\t\n\r]/g
const HAS_SCHEME = /^[a-z][a-z0-9+.-]*:/i
const HAS_HOST = /^[\\/]{2}/

/**
 * @param option which option it is that holds it
 * @throws TypeError (`code: 'INVALID_OPTION'`) when it is no URL, or not one a client may be based on
 */
export function parseBase(baseURL: string, platformBase?: string, option = 'baseURL'): BaseUrl {
  const url = parseHttpUrl(baseURL.replace(IGNORED, ''), platformBase, option)
  if (url.search || url.hash) throw invalid(option, 'it must have neither query nor fragment')
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') }
}

/**
 * Resolves the URL of a call. A relative one is appended to the base (`/users` to `https://h/v1` gives `https://h/v1/users`);
 * an absolute one is taken as it is, when its origin may be reached.
 * @throws CommsError `BAD_REQUEST`, `ORIGIN_NOT_ALLOWED` or `INSECURE_URL`
 */
export function resolveTarget(url: string | URL, query: string, rules: OriginRules): Target {
  if (typeof url !== 'string' && tagOf(url) !== 'URL')
    throw invalid('url', `it must be a string or URL, got ${typeof url}`)
  const text = String(url).replace(IGNORED, '')
  const { base } = rules
  // Without a base: `https:host` would otherwise be a path under it.
  const isAbsolute = HAS_SCHEME.test(text)
  let path = text
  if (!isAbsolute && !HAS_HOST.test(text)) {
    if (!base) throw invalid('url', 'relative, and there is no baseURL')
    path = base.prefix + (text === '' || /^[\\/?#]/.test(text) ? '' : '/') + text
  }
  const parsed = parseHttpUrl(path, isAbsolute ? undefined : base?.origin, 'url')
  checkOrigin(parsed, rules)
  if (base && path !== text && !isWithin(parsed.pathname, base.prefix))
    throw invalid(
      'url',
      `".." leads out of the path of the base (${base.prefix}/): give an absolute URL where that is meant`,
    )
  return asTarget(parsed, query)
}

/** @throws CommsError when requests may not go to this origin */
export function checkOrigin(url: URL, rules: OriginRules): void {
  const { base, allowedOrigins, allowInsecure } = rules
  const restricted = base !== undefined || allowedOrigins.size > 0
  if (restricted && url.origin !== base?.origin && !allowedOrigins.has(url.origin)) {
    throw new CommsError(`origin ${url.origin} is not allowed: "allowedOrigins" does not name it`, {
      code: 'ORIGIN_NOT_ALLOWED',
    })
  }
  if (!allowInsecure && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new CommsError(`plain http to ${url.origin} needs "allowInsecure"`, {
      code: 'INSECURE_URL',
    })
  }
}

/** Whether a host is this machine (RFC 6761 6.3 for the names). */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(?:\.\d+){3}$/.test(hostname)
  )
}

function isWithin(pathname: string, prefix: string): boolean {
  return pathname === prefix || pathname.startsWith(`${prefix}/`)
}

function asTarget(url: URL, query: string): Target {
  const search = url.search && query ? `${url.search}&${query}` : url.search || (query && `?${query}`)
  return { origin: url.origin, path: url.pathname + search, pathname: url.pathname }
}

/** @throws CommsError `BAD_REQUEST` for what cannot be requested */
function parseHttpUrl(text: string, base: string | undefined, what: string): URL {
  let url: URL
  try {
    url = new URL(text, base)
  } catch {
    // The platform's error repeats the whole text, user info and all: it is no cause to pass on.
    throw invalid(what, `it cannot be read, got ${JSON.stringify(redactUrl(text).slice(0, 200))}`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid(what, `it must begin with http:// or https://, got ${url.protocol}`)
  }
  if (url.username || url.password) {
    throw invalid(what, 'no user name and password: use the "authorization" header')
  }
  return url
}

/** @param what `url` for that of a call, else the option */
function invalid(what: string, why: string): Error {
  if (what === 'url') return badRequest(`invalid URL: ${why}`)
  const error = new TypeError(`ApiClient: option "${what}": invalid URL: ${why}`)
  return Object.assign(error, { code: 'INVALID_OPTION', option: what })
}
