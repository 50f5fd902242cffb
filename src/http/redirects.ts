// Whether a redirect is followed, and what goes with the next request. Every hop is judged anew.
// (follow-redirects CVE-2022-0155, CVE-2024-28849, GHSA-r4q5-vmmm-2653: credentials followed to other hosts.)

import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import type { Target } from './url.ts'

/** The part of a request that redirects may change. */
export interface Hop {
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/**
 * Resolves where a redirect points to.
 * @param resolve takes a URL apart, and throws when requests may not go there
 * @throws as `resolve`; `BAD_REQUEST` for what is no URL; `INSECURE_URL` when it leads from https to http
 */
export function resolveRedirect(location: string, from: Target, resolve: (url: string) => Target): Target {
  const base = from.origin + from.path
  let url: URL
  try {
    url = new URL(asText(location), base)
  } catch {
    // The platform's error repeats the whole text, user info and all: it is no cause to pass on.
    throw new CommsError(
      `invalid URL: the redirect: got ${JSON.stringify(redactUrl(location).slice(0, 200))}`,
      { code: 'BAD_REQUEST' },
    )
  }
  const target = resolve(url.href)
  if (url.protocol === 'http:' && from.origin.startsWith('https:')) {
    throw new CommsError(`a redirect from https to http is not followed (${redactUrl(base)})`, {
      code: 'INSECURE_URL',
    })
  }
  return target
}

/** Servers write UTF-8 where only ASCII belongs, and fields come as one character a byte: read as what was meant. */
function asText(location: string): string {
  if (!/^[\0-\xff]*[\x80-\xff]/.test(location)) return location
  try {
    const bytes = Uint8Array.from(location, (character) => character.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return location
  }
}

export interface RedirectQuestion {
  readonly status: number
  readonly location: string | undefined
  readonly method: string
  readonly target: Target
  /** Redirects followed so far. */
  readonly hops: number
  /** 0: none is followed, the answer is handed over as it is. */
  readonly maxRedirects: number
  readonly hasBody: boolean
  readonly replayable: boolean
  /** Takes a URL apart, and throws when requests may not go there. */
  readonly resolve: (url: string) => Target
}

export type RedirectDecision =
  | { readonly action: 'deliver' }
  | {
      readonly action: 'follow'
      readonly target: Target
      readonly method: string
      /** Whether the body goes along; without it, the headers that describe it stay behind. */
      readonly keepBody: boolean
      /** Credentials stay behind. */
      readonly crossOrigin: boolean
    }

const DELIVER: RedirectDecision = Object.freeze({ action: 'deliver' })

/** @throws CommsError `TOO_MANY_REDIRECTS`, `ORIGIN_NOT_ALLOWED`, `INSECURE_URL`, `BAD_REQUEST` (no URL), `BAD_RESPONSE` (the body is gone) */
export function redirectDecision(question: RedirectQuestion): RedirectDecision {
  const { status, location, method, target, maxRedirects } = question
  if (!isRedirect(status) || location === undefined || maxRedirects === 0) return DELIVER
  if (question.hops >= maxRedirects) {
    throw new CommsError(
      `more than ${maxRedirects} redirects (maxRedirects) on the way to ${redactUrl(target.origin + target.path)}`,
      { code: 'TOO_MANY_REDIRECTS' },
    )
  }
  const next = resolveRedirect(location, target, question.resolve)
  // RFC 9110 15.4: 303 is fetched with GET; 301 and 302 turn POST into GET, as every browser does.
  const toGet =
    (status === 303 && method !== 'HEAD' && method !== 'GET') ||
    ((status === 301 || status === 302) && method === 'POST')
  if (!toGet && question.hasBody && !question.replayable) {
    throw new CommsError(
      `a redirect (${status}) asks for the request body again, and a stream cannot be sent twice: give a function that makes it`,
      { code: 'BAD_RESPONSE' },
    )
  }
  return {
    action: 'follow',
    target: next,
    method: toGet ? 'GET' : method,
    keepBody: !toGet,
    crossOrigin: next.origin !== target.origin,
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/** What no other origin may see, whatever the caller marks beside; `host` would name the wrong one. */
const credentials = ['authorization', 'cookie', 'proxy-authorization', 'host']

/** The headers for the next hop. `sensitive`: further names in lower case that stay with the origin. */
export function redirectHeaders(
  headers: Readonly<Record<string, string>>,
  decision: { readonly keepBody: boolean; readonly crossOrigin: boolean },
  sensitive: ReadonlySet<string>,
): Record<string, string> {
  const next: Record<string, string> = Object.create(null)
  for (const name of Object.keys(headers)) {
    if (decision.crossOrigin && (credentials.includes(name) || sensitive.has(name))) continue
    if (!decision.keepBody && name.startsWith('content-')) continue
    next[name] = headers[name] as string
  }
  return next
}

/**
 * The request that a redirect asks for in place of `wire`, and whether the original one has thereby been answered.
 * @throws as `redirectDecision`; `BAD_RESPONSE` where there is nothing to follow
 */
export function redirect<Wire extends Hop>(
  wire: Wire,
  question: Omit<RedirectQuestion, 'method' | 'hasBody'> & { readonly sensitive: ReadonlySet<string> },
): { readonly wire: Wire; readonly target: Target; readonly answered: boolean } {
  const { method, headers, body } = wire
  const decision = redirectDecision({ ...question, method, hasBody: body !== undefined })
  if (decision.action === 'deliver') throw new CommsError('this is no redirect', { code: 'BAD_RESPONSE' })
  const { target, keepBody } = decision
  return {
    target,
    answered: !keepBody,
    wire: {
      ...wire,
      method: decision.method,
      origin: target.origin,
      path: target.path,
      headers: redirectHeaders(headers, decision, question.sensitive),
      body: keepBody ? body : undefined,
    },
  }
}
