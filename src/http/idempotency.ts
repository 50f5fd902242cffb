// When a request may be sent a second time: only if doing it twice is the same as once, or the first cannot have been done.

import { badRequest } from '../core/errors.ts'

/** RFC 9110 9.2.2, and QUERY (RFC 10008). */
const IDEMPOTENT = /^(GET|HEAD|OPTIONS|TRACE|PUT|DELETE|QUERY)$/

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.test(method)
}

/**
 * A key as the header wants it: a structured-field String (RFC 9651 3.3.3), quotes on the wire (draft-ietf-httpapi-idempotency-key-header).
 * @throws CommsError `BAD_REQUEST` when a character cannot be in one
 */
export function idempotencyKeyField(key: string): string {
  if (!/^[\x20-\x7e]+$/.test(key)) {
    throw badRequest('idempotencyKey must be printable ASCII and not empty')
  }
  return `"${key.replace(/["\\]/g, '\\$&')}"`
}
