// Request headers: one plain form, checked, so that nothing can be smuggled into the wire through them.

import { CommsError } from '../core/errors.ts'

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

/** These are the transport's to write; `fetch` ignores them too. */
const TRANSPORT_OWNED = /^(connection|content-length|expect|keep-alive|te|trailer|transfer-encoding|upgrade)$/

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
    throw new CommsError(`headers must be an object, got ${typeof input}`, { code: 'BAD_REQUEST' })
  }
  if (Symbol.iterator in input) {
    for (const [name, value] of input as Iterable<readonly [string, string]>) setHeader(fields, name, value)
    return
  }
  for (const name of Object.keys(input)) setHeader(fields, name, (input as Record<string, unknown>)[name])
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
}

function headerValue(name: string, value: unknown): string {
  const text = Array.isArray(value) ? value.join(', ') : value
  if (typeof text !== 'string' && typeof text !== 'number' && typeof text !== 'boolean') {
    throw refused(name, `must be a string, got ${typeof value}`)
  }
  // Spaces around a value mean nothing on the wire (RFC 9110 5.5).
  const trimmed = String(text).trim()
  if (!VALUE.test(trimmed)) throw refused(name, 'has characters that a header cannot hold')
  return trimmed
}

function refused(name: string, why: string): CommsError {
  return new CommsError(`header ${JSON.stringify(String(name).slice(0, 100))} ${why}`, {
    code: 'BAD_REQUEST',
  })
}
