import { describe, expect, it } from 'vitest'
import { AbortError, ApiError, CommsError, NetworkError, TimeoutError } from '../core/errors.ts'
import { breakerOutcome, isCertificateError, isRepeatable, type RepeatQuestion } from './classify.ts'
import { idempotencyKeyField, isIdempotent } from './idempotency.ts'

const api = (status: number, retryAfter?: number) =>
  new ApiError('x', { status, body: undefined, headers: {}, url: '', retryAfter })
const network = new NetworkError('x', {})
const timeout = new TimeoutError('timeout', { phase: 'attempt', timeoutMs: 1 })

describe('for the breaker', () => {
  it.each([
    ['a network error', network, 'failure'],
    ['a timeout', timeout, 'failure'],
    ['500', api(500), 'failure'],
    ['503', api(503), 'failure'],
    ['404', api(404), 'success'],
    ['429', api(429), 'success'],
    ['a body that is not what it says', new CommsError('x', { code: 'BAD_RESPONSE' }), 'success'],
    ['an abort', new AbortError('x'), 'ignored'],
    ['a refused token', new CommsError('x', { code: 'RATE_LIMITED' }), 'ignored'],
    ['a fault of the caller', new TypeError('x'), 'ignored'],
  ])('%s is a %s', (_what, error, outcome) => {
    expect(breakerOutcome(error)).toBe(outcome)
  })
})

describe('a failed attempt', () => {
  const repeats = (wish: Partial<RepeatQuestion>) =>
    isRepeatable({
      error: network,
      method: 'GET',
      retryStatusCodes: [408, 429, 500, 502, 503, 504],
      serverSays: undefined,
      safeToRepeat: false,
      replayable: true,
      neverSent: false,
      answered: false,
      attempt: 1,
      ...wish,
    })

  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY'])('%s is repeated', (method) => {
    expect(isIdempotent(method)).toBe(true)
    expect(repeats({ method })).toBe(true)
    expect(repeats({ method, error: timeout })).toBe(true)
    expect(repeats({ method, error: api(500) })).toBe(true)
  })

  it.each(['POST', 'PATCH', 'LOCK'])('%s is not repeated where the server may have acted', (method) => {
    for (const error of [network, timeout, api(500), api(502), api(503), api(504)])
      expect(repeats({ method, error })).toBe(false)
  })

  it.each([
    ['it was never sent', { neverSent: true }],
    ['408', { error: api(408) }],
    ['429', { error: api(429) }],
    ['503 with Retry-After', { error: api(503, 1000) }],
    ['an idempotency key went with it, or the caller allows it', { safeToRepeat: true }],
  ])('POST is repeated when the server cannot have acted: %s', (_what, wish) => {
    expect(repeats({ method: 'POST', ...wish })).toBe(true)
  })

  it('POST is repeated on 425 when 425 is retried at all', () => {
    expect(repeats({ method: 'POST', error: api(425) })).toBe(false)
    expect(repeats({ method: 'POST', error: api(425), retryStatusCodes: [425] })).toBe(true)
  })

  it('POST is not repeated once a redirect has answered it', () => {
    expect(repeats({ method: 'POST', error: api(429), answered: true })).toBe(false)
    expect(repeats({ method: 'GET', error: api(429), answered: true })).toBe(true)
  })

  it.each([400, 401, 403, 404, 405, 409, 410, 422, 501])('%i is never repeated', (status) => {
    expect(repeats({ error: api(status), safeToRepeat: true })).toBe(false)
  })

  it('409 after an earlier attempt under the same key means "still running": repeated unchanged; 422 does not', () => {
    expect(repeats({ method: 'POST', error: api(409), safeToRepeat: true, attempt: 2 })).toBe(true)
    expect(repeats({ method: 'POST', error: api(422), safeToRepeat: true, attempt: 2 })).toBe(false)
  })

  it('the server has a say: x-should-retry', () => {
    expect(repeats({ error: api(500), serverSays: false })).toBe(false)
    expect(repeats({ error: api(404), serverSays: true })).toBe(true)
    expect(repeats({ method: 'POST', error: api(500), serverSays: true })).toBe(false)
  })

  it('a stream that has been read is not repeated, an untouched one is', () => {
    expect(repeats({ method: 'PUT', replayable: false })).toBe(false)
    expect(repeats({ method: 'PUT', replayable: false, neverSent: true })).toBe(true)
  })

  it.each([
    'BAD_RESPONSE',
    'RESPONSE_TOO_LARGE',
    'CIRCUIT_OPEN',
    'RATE_LIMITED',
    'ABORTED',
    'DISPOSED',
  ] as const)('%s is not repeated', (code) => {
    expect(repeats({ error: new CommsError('x', { code }) })).toBe(false)
  })
})

describe('an idempotency key', () => {
  it('is a structured-field String: quotes on the wire', () => {
    expect(idempotencyKeyField('abc-1')).toBe('"abc-1"')
    expect(idempotencyKeyField('a"b\\c')).toBe('"a\\"b\\\\c"')
  })

  it.each(['', 'ü', 'a\nb'])('%j cannot be one', (key) => {
    expect(() => idempotencyKeyField(key)).toThrow(/idempotencyKey/)
  })
})

describe('an error of a certificate', () => {
  const withCode = (code: string) => Object.assign(new Error(code), { code })
  it.each([
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'HOSTNAME_MISMATCH',
  ])('%s is not worth another attempt, however deep it lies', (code) => {
    for (const cause of [withCode(code), new TypeError('fetch failed', { cause: withCode(code) })]) {
      const error = new NetworkError('x', { cause, neverSent: true })
      expect(isCertificateError(error)).toBe(true)
      expect(
        isRepeatable({
          error,
          method: 'GET',
          retryStatusCodes: [],
          serverSays: undefined,
          safeToRepeat: true,
          replayable: true,
          neverSent: true,
          answered: false,
          attempt: 1,
        }),
      ).toBe(false)
    }
  })

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'UND_ERR_SOCKET', undefined])('%s is none', (code) => {
    expect(isCertificateError(new NetworkError('x', { cause: withCode(String(code)) }))).toBe(false)
  })
})
