// What the end of an attempt means: for the breaker, and for whether it may be repeated. Knows no counts, no delays.

import { ApiError, CommsError, NetworkError, TimeoutError } from '../core/errors.ts'
import type { Outcome } from '../core/outcome.ts'
import { isIdempotent } from './idempotency.ts'

/** How an attempt counts for the breaker: network errors, timeouts and 5xx are failures; an answer of any other kind is a success. */
export function breakerOutcome(error: unknown): Outcome {
  if (error instanceof ApiError) return error.status >= 500 ? 'failure' : 'success'
  if (error instanceof NetworkError || error instanceof TimeoutError) return 'failure'
  if (!(error instanceof CommsError)) return 'ignored'
  switch (error.code) {
    // The server did answer; that we refuse the answer says nothing against its health.
    case 'BAD_RESPONSE':
    case 'RESPONSE_TOO_LARGE':
    case 'HEADERS_TOO_LARGE':
    case 'TOO_MANY_REDIRECTS':
    case 'ORIGIN_NOT_ALLOWED':
    case 'INSECURE_URL':
    case 'SCHEMA_MISMATCH':
      return 'success'
    default:
      return 'ignored'
  }
}

/** Codes of OpenSSL and Node for a certificate that is not trusted, not valid, or not of this host. */
const CERTIFICATE =
  /^(?:CERT_|ERR_TLS_CERT_|(?:DEPTH_ZERO_)?SELF_SIGNED_CERT|UNABLE_TO_(?:GET|VERIFY|DECODE|DECRYPT)_|INVALID_(?:CA|PURPOSE)$|HOSTNAME_MISMATCH$|PATH_LENGTH_EXCEEDED$)/

/** Whether a connection failed for its certificate: the next one will fail alike. */
export function isCertificateError(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Object && depth < 5; depth += 1) {
    if (CERTIFICATE.test(String((cause as { code?: unknown }).code))) return true
    cause = (cause as { cause?: unknown }).cause
  }
  return false
}

/** What decides whether a failed attempt is worth another. */
export interface RepeatQuestion {
  readonly error: unknown
  readonly method: string
  readonly retryStatusCodes: readonly number[]
  /** The server's own word (`x-should-retry`), when it gave one. */
  readonly serverSays: boolean | undefined
  /** An idempotency key went with the request, or the caller has allowed repeating. */
  readonly safeToRepeat: boolean
  /** The body can be sent again. */
  readonly replayable: boolean
  /** No byte can have reached the server. */
  readonly neverSent: boolean
  /** A redirect has been followed that ended the original request. */
  readonly answered: boolean
  /** 1 for the first. */
  readonly attempt: number
}

/** Whether the attempt may and should be repeated, as far as the failure tells. */
export function isRepeatable(question: RepeatQuestion): boolean {
  const { error, method, neverSent } = question
  const status = error instanceof ApiError ? error.status : 0
  if (status > 0) {
    if (question.serverSays === false) return false
    // With an idempotency key, 409 after an earlier attempt says that this one is still being worked on.
    const stillRunning = status === 409 && question.safeToRepeat && question.attempt > 1
    if (!question.serverSays && !question.retryStatusCodes.includes(status) && !stillRunning) return false
  } else if (!(error instanceof NetworkError) && !(error instanceof TimeoutError)) {
    return false
  } else if (isCertificateError(error)) return false
  // What has never been read can still be sent.
  if (!question.replayable && !neverSent) return false
  if (isIdempotent(method) || question.safeToRepeat) return true
  if (question.answered) return false
  // Only what shows that the server has not acted.
  switch (status) {
    case 408: // it gave up waiting for the request
    case 425: // it did not want to risk acting on it
    case 429: // it turned it away at the door
      return true
    case 503:
      return (error as ApiError).retryAfter !== undefined
    default:
      return neverSent
  }
}
