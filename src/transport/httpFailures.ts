// The errors that every transport reports in the same words.

import { badRequest, CommsError, NetworkError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import type { HttpRequest } from './HttpTransport.ts'

/** `GET https://example.com/path`, fit for an error or a log. */
export function describeRequest(request: Pick<HttpRequest, 'method' | 'origin' | 'path'>): string {
  return `${request.method} ${redactUrl(request.origin + request.path)}`
}

export function responseTooLarge(request: HttpRequest): CommsError {
  return new CommsError(
    `${describeRequest(request)}: more body than maxResponseBytes (${request.maxResponseBytes})`,
    { code: 'RESPONSE_TOO_LARGE' },
  )
}

export function headersTooLarge(request: HttpRequest, cause?: unknown): CommsError {
  return new CommsError(
    `${describeRequest(request)}: more headers than maxHeaderBytes (${request.maxHeaderBytes})`,
    { code: 'HEADERS_TOO_LARGE', cause },
  )
}

export function badResponse(request: HttpRequest, what: string, cause?: unknown): CommsError {
  return new CommsError(`${describeRequest(request)}: ${what}`, { code: 'BAD_RESPONSE', cause })
}

/** The stream that was to be sent failed: the fault is the caller's, and nothing is known about the server. */
export function uploadFailed(request: HttpRequest, cause: unknown): CommsError {
  return badRequest(`${describeRequest(request)}: the body cannot be read: ${textOf(cause)}`, cause)
}

export function networkError(request: HttpRequest, cause: unknown, neverSent: boolean): NetworkError {
  return new NetworkError(`network error: ${describeRequest(request)}: ${textOf(cause)}`, {
    url: redactUrl(request.origin + request.path),
    neverSent,
    cause,
  })
}

/** What an error says, looking into one that is only a wrapper (AggregateError of several addresses). */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(textOf).join('; ')
  return error instanceof Error ? error.message || error.name : String(error)
}
