// The family of errors. Every one carries a stable `code`: match on that, never on the text.
// Guards by flag (`isApiError`, ...) hold across realms and duplicated packages, where `instanceof` fails.

/** Codes of the family. Stable: a code is never renamed, new ones may come. */
export type ErrorCode =
  | 'HTTP_STATUS'
  | 'TIMEOUT'
  | 'NETWORK'
  | 'ABORTED'
  | 'CIRCUIT_OPEN'
  | 'RATE_LIMITED'
  | 'BULKHEAD_FULL'
  | 'THROTTLED'
  | 'VALIDATION'
  | 'SCHEMA_MISMATCH'
  | 'BAD_REQUEST'
  | 'BAD_RESPONSE'
  | 'RESPONSE_TOO_LARGE'
  | 'HEADERS_TOO_LARGE'
  | 'TOO_MANY_REDIRECTS'
  | 'ORIGIN_NOT_ALLOWED'
  | 'INSECURE_URL'
  | 'UNSUPPORTED'
  | 'LOAD_FAILED'
  | 'CALLBACK_FAILED'
  | 'DISPOSED'
  | 'QUEUE_FULL'
  | 'DROPPED'
  | 'CANCELLED'
  | 'CONNECTION'
  | 'CLOSED_BY_SERVER'
  | 'REMOTE'
  | 'RESTARTED'
  | 'PROTOCOL'
  | 'SESSION_LOST'
  | 'STORAGE'
  | 'ENGINE'
  | 'UNKNOWN'

/** What every error of the library may be given. */
export interface CommsErrorInit {
  code: ErrorCode
  /** The original error, or the reason of an abort. */
  cause?: unknown
  /** How many attempts had been made; the first call counts. */
  attempts?: number
}

/** The root of the family. */
export class CommsError extends Error {
  override readonly name: string = 'CommsError'
  /** Stable, for programs. */
  declare readonly code: ErrorCode
  /** How many attempts had been made when it was thrown; 0 when none left the machine. */
  declare attempts: number

  /** @param init becomes the error's fields, whatever it holds */
  constructor(message: string, init: CommsErrorInit) {
    super(message, init)
    const { cause: _, ...fields } = init
    Object.assign(this, { attempts: 0 }, fields)
  }
}

/** As `instanceof`, for what an app may have thrown: some values cannot even be looked at, and are of no class. */
export function isA<T>(value: unknown, kind: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof kind
  } catch {
    return false
  }
}

/** The server answered with a status that is not a success. */
export class ApiError extends CommsError {
  override readonly name = 'ApiError'
  readonly isApiError = true
  /** HTTP status code. */
  declare readonly status: number
  /** The parsed body (JSON where the server said so, else text), as far as it could be read. */
  declare readonly body: unknown
  /** Response headers, names in lower case. Not enumerable: they may hold cookies. */
  declare readonly headers: Readonly<Record<string, string>>
  /** Where it came from, secrets in the query replaced. */
  declare readonly url: string
  /** Milliseconds the server asked to wait (`Retry-After` and kin), when it did. */
  declare readonly retryAfter: number | undefined

  constructor(
    message: string,
    {
      headers,
      ...init
    }: {
      status: number
      body: unknown
      headers: Readonly<Record<string, string>>
      url: string
      retryAfter?: number | undefined
      attempts?: number
    },
  ) {
    super(message, withCode('HTTP_STATUS', { retryAfter: undefined, ...init }))
    // Programs read them; `inspect`, `JSON.stringify` and loggers do not show them.
    Object.defineProperty(this, 'headers', { value: headers, writable: true, configurable: true })
  }
}

/** Which limit passed: of one attempt, of the whole call, of connecting, or between two pieces of a stream. */
export type TimeoutPhase = 'attempt' | 'deadline' | 'connect' | 'idle'

/** Time ran out. */
export class TimeoutError extends CommsError {
  override readonly name = 'TimeoutError'
  readonly isTimeoutError = true
  /** Where the call went, secrets in the query replaced; empty when it was no HTTP call. */
  declare readonly url: string
  declare readonly phase: TimeoutPhase
  /** The limit that passed, in milliseconds. */
  declare readonly timeoutMs: number

  constructor(
    message: string,
    init: { url?: string; phase: TimeoutPhase; timeoutMs: number; cause?: unknown; attempts?: number },
  ) {
    super(message, withCode('TIMEOUT', { url: '', ...init }))
  }
}

/** No answer could be had: refused, reset, not resolved, cut in mid-body. */
export class NetworkError extends CommsError {
  override readonly name = 'NetworkError'
  readonly isNetworkError = true
  declare readonly url: string
  /** True when no byte of the request can have reached the server: repeating cannot run it twice. */
  declare readonly neverSent: boolean

  constructor(
    message: string,
    init: { url?: string; neverSent?: boolean; cause?: unknown; attempts?: number },
  ) {
    super(message, withCode('NETWORK', { url: '', neverSent: false, ...init }))
  }
}

/** The caller aborted; `cause` is the reason of the signal. */
export class AbortError extends CommsError {
  override readonly name = 'AbortError'
  readonly isAbortError = true

  constructor(message: string, init: { cause?: unknown; attempts?: number } = {}) {
    super(message, withCode('ABORTED', init))
  }
}

/** The circuit breaker let nothing through. */
export class CircuitBreakerError extends CommsError {
  override readonly name = 'CircuitBreakerError'
  readonly isCircuitBreakerError = true
  /** Milliseconds until it will let a probe through. */
  declare readonly retryAfter: number

  constructor(message: string, init: { retryAfter: number; cause?: unknown; attempts?: number }) {
    super(message, withCode('CIRCUIT_OPEN', init))
  }
}

/** The limiter had no token left. */
export class RateLimitError extends CommsError {
  override readonly name = 'RateLimitError'
  readonly isRateLimitError = true
  /** Milliseconds until the call would be let through. */
  declare readonly retryAfter: number
  /** What was limited: `METHOD /path`, or the key that was checked. */
  declare readonly endpoint: string
  /** The category whose limit was reached. */
  declare readonly category: string

  constructor(
    message: string,
    init: { retryAfter: number; endpoint: string; category: string; attempts?: number },
  ) {
    super(message, withCode('RATE_LIMITED', init))
  }
}

/** The answer to a question did not come, or not whole. */
export class ReplyError extends CommsError {
  override readonly name = 'ReplyError'
  readonly isReplyError = true
  /** The id of the question. */
  declare readonly requestId: string
  /** What had come of the answer. */
  declare readonly text: string
  /** What the backend said, when it said something. */
  declare readonly remote: { readonly code: string; readonly message: string } | undefined

  constructor(
    message: string,
    init: CommsErrorInit & {
      requestId: string
      text: string
      remote?: { readonly code: string; readonly message: string } | undefined
    },
  ) {
    super(message, { ...init, remote: init.remote } as CommsErrorInit)
  }
}

/** Too many calls were running and waiting already. */
export class BulkheadError extends CommsError {
  override readonly name = 'BulkheadError'
  readonly isBulkheadError = true

  constructor(message: string, init: { cause?: unknown; attempts?: number } = {}) {
    super(message, withCode('BULKHEAD_FULL', init))
  }
}

function withCode(code: ErrorCode, init: object): CommsErrorInit {
  return { ...init, code }
}

/** The caller's abort as an error; `while waiting ...` may say what it cut short. */
export function abortedBy(signal: AbortSignal | undefined, message = 'aborted by the caller'): AbortError {
  return new AbortError(message, { cause: signal?.reason })
}

/** What the caller asked for cannot be sent. */
export function badRequest(message: string, cause?: unknown): CommsError {
  return new CommsError(message, { code: 'BAD_REQUEST', ...(cause !== undefined && { cause }) })
}

/** A function or object that the app has passed in threw, where nothing says that it may. */
export function callbackFailed(who: string, cause: unknown): CommsError {
  return new CommsError(`${who} threw: ${textOf(cause)}`, { code: 'CALLBACK_FAILED', cause })
}

function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
  } catch {
    return 'what cannot be looked at'
  }
}

/** Calls what the app has passed in. @throws CommsError `CALLBACK_FAILED` naming it */
export function fenced<T>(who: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw callbackFailed(who, error)
  }
}

const SAYS_NOTHING: ReadonlySet<string> = new Set<ErrorCode>([
  'ABORTED',
  'CIRCUIT_OPEN',
  'RATE_LIMITED',
  'BULKHEAD_FULL',
  'THROTTLED',
  'VALIDATION',
  'DISPOSED',
  'CALLBACK_FAILED',
])

/** Whether an error says nothing about the other side: the caller has left, a policy refused, a function of the app's threw. */
export function saysNothing(error: unknown): boolean {
  if (isA(error, CommsError)) return SAYS_NOTHING.has(error.code)
  return isA(error, Error) && error.name === 'AbortError'
}
