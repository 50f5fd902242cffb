// When a request may be sent a second time: only if doing it twice is the same as once, or the first cannot have been done.

import { CommsError } from '../core/errors.ts'

/** RFC 9110 9.2.2, and QUERY (RFC 10008). */
const idempotentMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'QUERY',
])

export function isIdempotent(method: string): boolean {
  return idempotentMethods.has(method)
}

/** What is known of a failed attempt of a method that is not idempotent. */
export interface FailedAttempt {
  /** No byte of it can have reached the server. */
  readonly neverSent: boolean
  /** The status it was answered with, 0 when there was no answer. */
  readonly status: number
  /** The server said when to come back. */
  readonly hasRetryAfter: boolean
  /** A redirect has been followed that ended the original request (303, 301, 302): it has been acted on. */
  readonly answered: boolean
}

/** Whether the failure shows that the server has not acted on the request. */
export function cannotHaveActed(failed: FailedAttempt): boolean {
  if (failed.answered) return false
  if (failed.neverSent) return true
  switch (failed.status) {
    case 408: // it gave up waiting for the request
    case 425: // it did not want to risk acting on it
    case 429: // it turned it away at the door
      return true
    case 503:
      return failed.hasRetryAfter
    default:
      return false
  }
}

/**
 * A key as the header wants it: a structured-field String (RFC 9651 3.3.3), quotes on the wire (draft-ietf-httpapi-idempotency-key-header).
 * @throws CommsError `BAD_REQUEST` when a character cannot be in one
 */
export function idempotencyKeyField(key: string): string {
  if (key === '' || !/^[\x20-\x7e]*$/.test(key)) {
    throw new CommsError('idempotencyKey must be printable ASCII and not empty', { code: 'BAD_REQUEST' })
  }
  return `"${key.replace(/["\\]/g, '\\$&')}"`
}
