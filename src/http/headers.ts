// Request headers: one plain form, checked, so that nothing can be smuggled into the wire through them.

import { badRequest, type CommsError } from '../core/errors.ts'

/** What `headers` takes. A value of `undefined` or `null` removes the header. */
export type HeadersInput =
  | Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>
  | Headers
  | Iterable<readonly [string, string]>

/** Names in lower case. Without a prototype: a field called `__proto__` is a field like any other. */
export type HeaderFields = Record<string, string>

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
/** RFC 9110 5.5, obs-text included: visible, space and tab. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** These are the transport's to write; `fetch` ignores them too. Only the length of a stream is the caller's to tell. */
const TRANSPORT_OWNED = /^(connection|expect|keep-alive|te|trailer|transfer-encoding|upgrade)$/

export function emptyFields(): HeaderFields {
  return Object.create(null)
}

/**
 * Sets what `input` holds in `fields`.
 * @throws CommsError `BAD_REQUEST` naming the header; its value is not shown
 */
export function setHeaders(fields: HeaderFields, input: HeadersInput | undefined): void {
  if (input === undefined || input === null) return
  if (typeof input !== 'object') {
    throw badRequest(`headers must be an object, got ${typeof input}`)
  }
  const pairs =
    Symbol.iterator in input ? (input as Iterable<readonly [string, unknown]>) : Object.entries(input)
  for (const [name, value] of pairs) setHeader(fields, name, value)
}

/** @throws CommsError `BAD_REQUEST` */
export function setHeader(fields: HeaderFields, name: string, value: unknown): void {
  const field = String(name).toLowerCase()
  if (!TOKEN.test(field)) throw refused(name, 'is not a header name')
  if (TRANSPORT_OWNED.test(field)) return
  if (value === undefined || value === null) {
    delete fields[field]
    return
  }
  fields[field] = headerValue(name, value)
  if (field === 'content-length' && !/^\d{1,15}$/.test(fields[field] ?? ''))
    throw refused(name, 'must be a whole number of bytes')
}

function headerValue(name: string, value: unknown): string {
  const text = Array.isArray(value) ? value.join(', ') : value
  if (!/string|number|boolean/.test(typeof text)) throw refused(name, `must be a string, got ${typeof value}`)
  // Spaces around a value mean nothing on the wire (RFC 9110 5.5).
  const trimmed = String(text).trim()
  if (!VALUE.test(trimmed)) throw refused(name, 'has characters that a header cannot hold')
  return trimmed
}

function refused(name: string, why: string): CommsError {
  return badRequest(`header ${JSON.stringify(String(name).slice(0, 100))} ${why}`)
}
