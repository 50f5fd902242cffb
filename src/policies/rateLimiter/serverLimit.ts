// What an answer says of the server's own limit. Fields: draft-ietf-httpapi-ratelimit-headers (RateLimit, RateLimit-Policy),
// the older RateLimit-Remaining and -Reset, and the X-RateLimit-* that most servers still send. Nobody checks these fields
// before they are sent: one that is not well-formed counts as not sent.

import { parseList } from 'structured-headers'

/** An answer as far as it speaks of limits. */
export interface ServerAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds that `Retry-After` or its kin ask to wait, when they do. */
  readonly retryAfterMs: number | undefined
  /** The server's wall clock, for resets given as a date; milliseconds since the epoch. */
  readonly serverNow: number
}

/** What the server has left for this client. */
export interface ServerLimit {
  /** Requests it will still take before `resetMs` is over. */
  readonly remaining: number
  /** Milliseconds until the quota is whole again; `undefined` when it did not say. */
  readonly resetMs: number | undefined
  readonly source: 'retry-after' | 'ratelimit' | 'x-ratelimit'
}

/**
 * The tightest limit that an answer tells of, `undefined` when it tells of none. `Retry-After` of a 429 or 503 wins over
 * `RateLimit`, which wins over the older fields.
 */
export function serverLimit(answer: ServerAnswer): ServerLimit | undefined {
  const { status, headers, retryAfterMs, serverNow } = answer
  if (retryAfterMs !== undefined && (status === 429 || status === 503)) {
    return { remaining: 0, resetMs: retryAfterMs, source: 'retry-after' }
  }
  const standard = tightest(fromRateLimit(headers.ratelimit, headers['ratelimit-policy']))
  return standard ?? tightest(fromOlderFields(headers, serverNow))
}

/** One that is used up beats all others, the longest first; else the one with the least left. */
function tightest(limits: readonly ServerLimit[]): ServerLimit | undefined {
  let found: ServerLimit | undefined
  for (const limit of limits) {
    if (
      !found ||
      limit.remaining < found.remaining ||
      (limit.remaining === found.remaining && (limit.resetMs ?? 0) > (found.resetMs ?? 0))
    ) {
      found = limit
    }
  }
  return found
}

function fromRateLimit(field: string | undefined, policyField: string | undefined): ServerLimit[] {
  const limits: ServerLimit[] = []
  if (field === undefined) return limits
  const policies = new Map(itemsOf(policyField))
  for (const [name, parameters] of itemsOf(field)) {
    const policy = policies.get(name)
    // Bytes or connections, say, are not what a bucket of requests counts.
    if ((policy?.get('qu') ?? 'requests') !== 'requests') continue
    const remaining = wholeNumber(parameters.get('r'))
    const seconds = wholeNumber(parameters.get('t')) ?? wholeNumber(policy?.get('w'))
    if (remaining === undefined) continue
    limits.push({
      remaining,
      resetMs: seconds === undefined ? undefined : seconds * 1000,
      source: 'ratelimit',
    })
  }
  return limits
}

/** The items of a list whose names are strings, as the draft has them; none when the field is malformed. */
function itemsOf(field: string | undefined): [string, ReadonlyMap<string, unknown>][] {
  if (field === undefined) return []
  try {
    return parseList(field).flatMap(([name, parameters]) =>
      typeof name === 'string' ? [[name, parameters] as [string, ReadonlyMap<string, unknown>]] : [],
    )
  } catch {
    return []
  }
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined
}

/** Pairs of fields that belong together. */
const OLDER: readonly (readonly [remaining: string, reset: string])[] = [
  ['ratelimit-remaining', 'ratelimit-reset'],
  ['x-ratelimit-remaining', 'x-ratelimit-reset-after'],
  ['x-ratelimit-remaining', 'x-ratelimit-reset'],
  ['x-rate-limit-remaining', 'x-rate-limit-reset'],
  ['x-ratelimit-remaining-requests', 'x-ratelimit-reset-requests'],
]

function fromOlderFields(headers: ServerAnswer['headers'], serverNow: number): ServerLimit[] {
  return OLDER.flatMap(([remainingName, resetName]) => {
    const remaining = headers[remainingName]?.trim()
    const resetMs = resetOf(headers[resetName]?.trim(), serverNow)
    // Without a reset of its own the pair says less than its sibling.
    if (remaining === undefined || !/^\d{1,15}$/.test(remaining) || resetMs === undefined) return []
    return [{ remaining: Number(remaining), resetMs, source: 'x-ratelimit' as const }]
  })
}

/** Beyond this, a number of seconds is a date (2001 and later), and beyond a thousand times this one in milliseconds. */
const DATES_FROM = 1e9
/** 1h2m3.5s, 250ms */
const LENGTH_OF_TIME =
  /^(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9})ms)?$/

/** Milliseconds until a reset that is given as seconds, as a date in seconds or milliseconds, or as a length of time. */
function resetOf(text: string | undefined, serverNow: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}(?:\.\d{1,9})?$/.test(text)) {
    const value = Number(text)
    if (value < DATES_FROM) return Math.ceil(value * 1000)
    return Math.max(0, Math.ceil((value < DATES_FROM * 1000 ? value * 1000 : value) - serverNow))
  }
  const match = LENGTH_OF_TIME.exec(text)
  if (!match) return undefined
  const [hours, minutes, seconds, ms] = match.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ]
  return Math.ceil(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms)
}
