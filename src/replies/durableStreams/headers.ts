// The headers of Durable Streams 1.0: their names, and how they are read.

import type { IncomingHttpHeaders } from 'node:http'
import type { ProducerRequest } from '../log.ts'

export const NEXT_OFFSET = 'stream-next-offset'
export const UP_TO_DATE = 'stream-up-to-date'
export const CLOSED = 'stream-closed'
export const CURSOR = 'stream-cursor'
export const SEQ = 'stream-seq'
export const TTL = 'stream-ttl'
export const EXPIRES_AT = 'stream-expires-at'
export const FORKED_FROM = 'stream-forked-from'
export const FORK_OFFSET = 'stream-fork-offset'
export const FORK_SUB_OFFSET = 'stream-fork-sub-offset'
export const PRODUCER_ID = 'producer-id'
export const PRODUCER_EPOCH = 'producer-epoch'
export const PRODUCER_SEQ = 'producer-seq'
export const EXPECTED_SEQ = 'producer-expected-seq'
export const RECEIVED_SEQ = 'producer-received-seq'
export const SSE_ENCODING = 'stream-sse-data-encoding'

/** What a page of another origin may read of an answer. */
export const EXPOSED = [
  NEXT_OFFSET,
  UP_TO_DATE,
  CLOSED,
  CURSOR,
  TTL,
  EXPIRES_AT,
  PRODUCER_EPOCH,
  PRODUCER_SEQ,
  EXPECTED_SEQ,
  RECEIVED_SEQ,
  SSE_ENCODING,
  'etag',
  'location',
  'retry-after',
].join(', ')

/** A request that breaks the rules, and how. */
export class BadRequest extends Error {}

const WHOLE = /^(?:0|[1-9]\d*)$/
/** RFC 3339, section 5.6. */
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/

/** A header that comes once. */
export function one(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** Only `true` counts, in any case; anything else is as good as nothing. */
export function saysClosed(headers: IncomingHttpHeaders): boolean {
  return one(headers, CLOSED)?.toLowerCase() === 'true'
}

/** @throws BadRequest */
export function wholeNumber(headers: IncomingHttpHeaders, name: string): number | undefined {
  const value = one(headers, name)
  if (value === undefined) return undefined
  const number = Number(value)
  if (!WHOLE.test(value) || !Number.isSafeInteger(number))
    throw new BadRequest(`${name} must be a whole number without a sign or leading zeros`)
  return number
}

/** @throws BadRequest */
export function timeToLive(headers: IncomingHttpHeaders): {
  ttlSeconds: number | undefined
  expiresAt: number | undefined
  expiresAtText: string | undefined
} {
  const ttlSeconds = wholeNumber(headers, TTL)
  const expiresAtText = one(headers, EXPIRES_AT)
  if (ttlSeconds !== undefined && expiresAtText !== undefined)
    throw new BadRequest('Stream-TTL and Stream-Expires-At exclude each other')
  if (expiresAtText === undefined) return { ttlSeconds, expiresAt: undefined, expiresAtText }
  const expiresAt = DATE_TIME.test(expiresAtText) ? Date.parse(expiresAtText) : Number.NaN
  if (Number.isNaN(expiresAt)) throw new BadRequest('Stream-Expires-At must be a date and time of RFC 3339')
  return { ttlSeconds, expiresAt, expiresAtText }
}

/** All three headers of a numbered request, or none. @throws BadRequest */
export function producer(headers: IncomingHttpHeaders): ProducerRequest | undefined {
  const id = one(headers, PRODUCER_ID)
  const epoch = wholeNumber(headers, PRODUCER_EPOCH)
  const seq = wholeNumber(headers, PRODUCER_SEQ)
  if (id === undefined && epoch === undefined && seq === undefined) return undefined
  if (id === undefined || epoch === undefined || seq === undefined)
    throw new BadRequest('Producer-Id, Producer-Epoch and Producer-Seq come together or not at all')
  if (id === '' || id.length > 256) throw new BadRequest('Producer-Id must have 1 to 256 characters')
  return { id, epoch, seq }
}
