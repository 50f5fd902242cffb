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
  | 'DISPOSED'
  | 'QUEUE_FULL'
  | 'DROPPED'
  | 'CANCELLED'
  | 'CONNECTION'
  | 'REMOTE'
  | 'PROTOCOL'
  | 'SESSION_LOST'
  | 'STORAGE'

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
  readonly code: ErrorCode
  /** How many attempts had been made when it was thrown; 0 when none left the machine. */
  attempts: number

  constructor(message: string, init: CommsErrorInit) {
    super(message, 'cause' in init ? { cause: init.cause } : undefined)
    this.code = init.code
    this.attempts = init.attempts ?? 0
  }
}

/** A field that programs read but that `inspect`, `JSON.stringify` and loggers do not show. */
function hide<T extends object>(target: T, name: keyof T, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: false, writable: true, configurable: true })
}

/** The server answered with a status that is not a success. */
export class ApiError extends CommsError {
  override readonly name = 'ApiError'
  readonly isApiError = true
  /** HTTP status code. */
  readonly status: number
  /** The parsed body (JSON where the server said so, else text), as far as it could be read. */
  readonly body: unknown
  /** Response headers, names in lower case. Not enumerable: they may hold cookies. */
  declare readonly headers: Readonly<Record<string, string>>
  /** Where it came from, secrets in the query replaced. */
  readonly url: string
  /** Milliseconds the server asked to wait (`Retry-After` and kin), when it did. */
  readonly retryAfter: number | undefined

  constructor(
    message: string,
    init: {
      status: number
      body: unknown
      headers: Readonly<Record<string, string>>
      url: string
      retryAfter?: number | undefined
      attempts?: number
    },
  ) {
    super(message, { code: 'HTTP_STATUS', attempts: init.attempts ?? 0 })
    this.status = init.status
    this.body = init.body
    hide(this, 'headers', init.headers)
    this.url = init.url
    this.retryAfter = init.retryAfter
  }
}

/** Which limit passed: of one attempt, of the whole call, of connecting, or between two pieces of a stream. */
export type TimeoutPhase = 'attempt' | 'deadline' | 'connect' | 'idle'

/** Time ran out. */
export class TimeoutError extends CommsError {
  override readonly name = 'TimeoutError'
  readonly isTimeoutError = true
  /** Where the call went, secrets in the query replaced; empty when it was no HTTP call. */
  readonly url: string
  readonly phase: TimeoutPhase
  /** The limit that passed, in milliseconds. */
  readonly timeoutMs: number

  constructor(
    message: string,
    init: { url?: string; phase: TimeoutPhase; timeoutMs: number; cause?: unknown; attempts?: number },
  ) {
    super(message, { ...init, code: 'TIMEOUT' })
    this.url = init.url ?? ''
    this.phase = init.phase
    this.timeoutMs = init.timeoutMs
  }
}

/** No answer could be had: refused, reset, not resolved, cut in mid-body. */
export class NetworkError extends CommsError {
  override readonly name = 'NetworkError'
  readonly isNetworkError = true
  readonly url: string
  /** True when no byte of the request can have reached the server: repeating cannot run it twice. */
  readonly neverSent: boolean

  constructor(
    message: string,
    init: { url?: string; neverSent?: boolean; cause?: unknown; attempts?: number },
  ) {
    super(message, { ...init, code: 'NETWORK' })
    this.url = init.url ?? ''
    this.neverSent = init.neverSent ?? false
  }
}

/** The caller aborted; `cause` is the reason of the signal. */
export class AbortError extends CommsError {
  override readonly name = 'AbortError'
  readonly isAbortError = true

  constructor(message: string, init: { cause?: unknown; attempts?: number } = {}) {
    super(message, { ...init, code: 'ABORTED' })
  }
}

/** The circuit breaker let nothing through. */
export class CircuitBreakerError extends CommsError {
  override readonly name = 'CircuitBreakerError'
  readonly isCircuitBreakerError = true
  /** Milliseconds until it will let a probe through. */
  readonly retryAfter: number

  constructor(message: string, init: { retryAfter: number; cause?: unknown; attempts?: number }) {
    super(message, { ...init, code: 'CIRCUIT_OPEN' })
    this.retryAfter = init.retryAfter
  }
}

/** The limiter had no token left. */
export class RateLimitError extends CommsError {
  override readonly name = 'RateLimitError'
  readonly isRateLimitError = true
  /** Milliseconds until the call would be let through. */
  readonly retryAfter: number
  /** What was limited: `METHOD /path`, or the key that was checked. */
  readonly endpoint: string
  /** The category whose limit was reached. */
  readonly category: string

  constructor(
    message: string,
    init: { retryAfter: number; endpoint: string; category: string; attempts?: number },
  ) {
    super(message, { ...init, code: 'RATE_LIMITED' })
    this.retryAfter = init.retryAfter
    this.endpoint = init.endpoint
    this.category = init.category
  }
}

/** Too many calls were running and waiting already. */
export class BulkheadError extends CommsError {
  override readonly name = 'BulkheadError'
  readonly isBulkheadError = true

  constructor(message: string, init: { cause?: unknown; attempts?: number } = {}) {
    super(message, { ...init, code: 'BULKHEAD_FULL' })
  }
}

/** What a schema found wrong, and where: `user.tags[2]`, empty for the whole. */
export interface SchemaIssue {
  readonly message: string
  readonly path: string
}

/** The response is well-formed and not what the caller's schema expects. */
export class SchemaError extends CommsError {
  override readonly name = 'SchemaError'
  readonly isSchemaError = true
  readonly issues: readonly SchemaIssue[]
  /** Where the response came from, secrets in the query replaced. */
  readonly url: string

  constructor(issues: readonly SchemaIssue[], url: string) {
    const [first] = issues
    const where = first?.path ? `${first.path}: ` : ''
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
    super(`the response of ${url} does not match the schema: ${where}${first?.message}${more}`, {
      code: 'SCHEMA_MISMATCH',
    })
    this.issues = issues
    this.url = url
  }
}
