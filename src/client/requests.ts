// From what a caller says to a request that is complete and checked. What does not change from call to call is worked out once.

import { CommsError } from '../core/errors.ts'
import { randomId } from '../core/randomId.ts'
import { NO_BODY, type PreparedBody, prepareBody } from '../http/body.ts'
import { emptyFields, type HeaderFields, type HeadersInput, setHeader, setHeaders } from '../http/headers.ts'
import { idempotencyKeyField } from '../http/idempotency.ts'
import { serializeQuery } from '../http/query.ts'
import { type BaseUrl, type OriginRules, parseBase, resolveTarget, type Target } from '../http/url.ts'
import type { HttpRequest } from '../transport/HttpTransport.ts'
import type { ClientSettings, RequestOptions } from './options.ts'

/** A request ready to be sent, any number of times. */
export interface PreparedRequest {
  readonly target: Target
  /** What the limiter and telemetry go by: `GET /v1/models`. */
  readonly endpoint: string
  readonly wire: HttpRequest
  readonly body: PreparedBody
  /** Repeating it does no harm although its method might. */
  readonly safeToRepeat: boolean
}

/** GETs of this many URLs are remembered whole; a longer URL is likely to be met once only. */
const MAX_REMEMBERED = 128
const MAX_REMEMBERED_LENGTH = 256

export class Requests {
  readonly rules: OriginRules
  readonly #settings: ClientSettings
  readonly #defaults: HeaderFields
  readonly #sensitive: ReadonlySet<string>
  #remembered: Map<string, PreparedRequest> | undefined

  /** @throws CommsError when the base or a header cannot be used */
  constructor(
    settings: ClientSettings,
    options: {
      baseURL: string | undefined
      headers: HeadersInput | undefined
      allowedOrigins: readonly string[] | undefined
      sensitive: ReadonlySet<string>
      acceptEncoding: string | undefined
    },
  ) {
    this.#settings = settings
    this.#sensitive = options.sensitive
    this.rules = {
      base: options.baseURL === undefined ? undefined : baseOf(options.baseURL),
      allowedOrigins: new Set(options.allowedOrigins?.map((origin) => parseBase(origin).origin)),
      allowInsecure: settings.allowInsecure,
    }
    const fields = emptyFields()
    fields.accept = 'application/json, text/plain, */*'
    if (options.acceptEncoding) fields['accept-encoding'] = options.acceptEncoding
    setHeaders(fields, options.headers)
    this.#defaults = fields
  }

  /** @throws CommsError for a URL, header, parameter or body that cannot be sent */
  prepare(method: string, url: string | URL, data: unknown, options: RequestOptions): PreparedRequest {
    if (data !== undefined || method !== 'GET' || typeof url !== 'string' || !isPlain(options)) {
      return this.#build(method, url, data, options)
    }
    const known = this.#remembered?.get(url)
    if (known) return known
    const built = this.#build(method, url, data, options)
    if (url.length <= MAX_REMEMBERED_LENGTH) {
      this.#remembered ??= new Map()
      if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
      this.#remembered.set(url, built)
    }
    return built
  }

  #build(method: string, url: string | URL, data: unknown, options: RequestOptions): PreparedRequest {
    if (typeof url !== 'string' && !(url instanceof URL)) {
      throw new CommsError(`invalid URL: url: it must be a string or URL, got ${typeof url}`, {
        code: 'BAD_REQUEST',
      })
    }
    const target = resolveTarget(url, options.params ? serializeQuery(options.params) : '', this.rules)
    const body = data === undefined ? NO_BODY : prepareBody(data)
    if (body.content !== undefined && (method === 'GET' || method === 'HEAD')) {
      throw new CommsError(`${method} cannot carry a body: use "params", or another method`, {
        code: 'BAD_REQUEST',
      })
    }
    const headers: HeaderFields = Object.assign(emptyFields(), this.#defaults)
    if (body.contentType !== undefined) headers['content-type'] = body.contentType
    setHeaders(headers, options.headers)
    const safeToRepeat = this.#setIdempotencyKey(headers, options)
    return {
      target,
      endpoint: `${method} ${target.pathname}`,
      body,
      safeToRepeat,
      wire: {
        method,
        origin: target.origin,
        path: target.path,
        headers,
        body: typeof body.content === 'function' ? undefined : body.content,
        maxResponseBytes: options.maxResponseBytes ?? this.#settings.maxResponseBytes,
        maxHeaderBytes: this.#settings.maxHeaderBytes,
        mayFollowUnseen: this.#settings.maxRedirects > 0 && !this.#carriesSensitive(headers),
        onUploadProgress: options.onUploadProgress,
        onDownloadProgress: options.onDownloadProgress,
      },
    }
  }

  #setIdempotencyKey(headers: HeaderFields, options: RequestOptions): boolean {
    const { idempotencyKey } = options
    if (idempotencyKey !== undefined) {
      const key = idempotencyKey === true ? randomId() : idempotencyKey
      setHeader(headers, 'idempotency-key', idempotencyKeyField(key))
    }
    return 'idempotency-key' in headers || (options.retryUnsafe ?? this.#settings.retryUnsafe)
  }

  #carriesSensitive(headers: HeaderFields): boolean {
    for (const name of this.#sensitive) if (name in headers) return true
    return false
  }
}

/** Nothing in it that shapes the request itself. */
function isPlain(options: RequestOptions): boolean {
  return (
    options.headers === undefined &&
    options.params === undefined &&
    options.idempotencyKey === undefined &&
    options.retryUnsafe === undefined &&
    options.maxResponseBytes === undefined &&
    options.onUploadProgress === undefined &&
    options.onDownloadProgress === undefined
  )
}

/** In a page, a base may be relative to it. */
function baseOf(baseURL: string): BaseUrl {
  const page = (globalThis as { location?: { href?: string } }).location?.href
  return parseBase(baseURL, page)
}
