// From what a caller says to a request that is complete and checked. What does not change from call to call is worked out once.

import { badRequest, fenced } from '../core/errors.ts'
import { randomId } from '../core/randomId.ts'
import { JSON_TYPE, NO_BODY, type PreparedBody, prepareBody } from '../http/body.ts'
import { emptyFields, type HeaderFields, type HeadersInput, setHeader, setHeaders } from '../http/headers.ts'
import { idempotencyKeyField } from '../http/idempotency.ts'
import { serializeQuery } from '../http/query.ts'
import { type OriginRules, parseBase, resolveTarget, type Target } from '../http/url.ts'
import type { HttpRequest, HttpTransport } from '../transport/HttpTransport.ts'
import { type CallOptions, type ClientSettings, clientDefaults, type RequestOptions } from './options.ts'

/** A request ready to be sent, any number of times. */
export interface PreparedRequest {
  readonly target: Target
  /** What the limiter goes by: `GET /v1/models`, or as its `scope` says. */
  readonly endpoint: string
  readonly wire: HttpRequest
  readonly body: PreparedBody
  /** Repeating it does no harm although its method might. */
  readonly safeToRepeat: boolean
}

/** Requests to this many URLs are remembered, by method; a longer URL is likely to be met once only. */
const MAX_REMEMBERED = 128
const MAX_REMEMBERED_LENGTH = 256

/** RFC 9110 9.1. CONNECT asks for a tunnel, which is no request with an answer. */
const METHOD = /^(?!CONNECT$)[A-Z][!#$%&'*+.^_`|~\dA-Z-]*$/

/** A caller cannot know the boundary of a form: this header of theirs is completed. */
const MULTIPART = 'multipart/form-data'

/** Options that shape the request itself. */
const SHAPING = [
  'headers',
  'params',
  'idempotencyKey',
  'retryUnsafe',
  'maxResponseBytes',
  'onUploadProgress',
  'onDownloadProgress',
  'platformInit',
] as const

export class Requests {
  readonly rules: OriginRules
  readonly sensitive: ReadonlySet<string>
  readonly #settings: ClientSettings
  readonly #defaults: HeaderFields
  #jsonDefaults: HeaderFields | undefined
  /** Without a body. */
  #remembered: Record<string, Map<string, PreparedRequest>> | undefined

  /** @throws CommsError when the base or a header cannot be used */
  constructor(
    settings: ClientSettings,
    { acceptEncoding, userAgent }: Pick<HttpTransport, 'acceptEncoding' | 'userAgent'>,
  ) {
    const { baseURL, allowedOrigins, allowInsecure, sensitiveHeaders, headers } = settings
    this.#settings = settings
    this.sensitive = setOf(sensitiveHeaders, (name) => name.toLowerCase())
    this.rules = {
      base: baseURL === undefined ? undefined : parseBase(baseURL, globalThis.location?.href),
      allowedOrigins: setOf(
        allowedOrigins,
        (origin) => parseBase(origin, undefined, 'allowedOrigins').origin,
      ),
      allowInsecure,
    }
    this.#defaults = emptyFields()
    this.#defaults.accept = 'application/json, text/plain, */*'
    if (acceptEncoding) this.#defaults['accept-encoding'] = acceptEncoding
    if (userAgent) this.#defaults['user-agent'] = userAgent
    setHeaders(this.#defaults, headers)
    // Belongs to one body, not to all.
    delete this.#defaults['content-length']
  }

  /** @throws CommsError for a URL, header, parameter or body that cannot be sent */
  prepare(method: string, url: string | URL, data: unknown, options: CallOptions): PreparedRequest {
    const body = prepareBody(data)
    if (body !== NO_BODY && (method === 'GET' || method === 'HEAD'))
      throw badRequest(`${method} cannot carry a body`)
    const { scope } = this.#settings.rateLimiterOptions ?? {}
    if (
      typeof url !== 'string' ||
      typeof scope === 'function' ||
      isStreamed(options) ||
      SHAPING.some((name) => options[name] !== undefined)
    )
      return this.#build(method, url, body, options)
    const bare = this.#remember(method, url)
    if (body === NO_BODY) return bare
    return { ...bare, body, wire: { ...bare.wire, body: wireBody(body), headers: this.#headers(body) } }
  }

  /** A request that its method and URL say all about. */
  #remember(method: string, url: string): PreparedRequest {
    this.#remembered ??= Object.create(null) as Record<string, Map<string, PreparedRequest>>
    this.#remembered[method] ??= new Map()
    const remembered = this.#remembered[method]
    let bare = remembered.get(url)
    if (!bare) {
      bare = this.#build(method, url, NO_BODY, {})
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      if (url.length <= MAX_REMEMBERED_LENGTH) remembered.set(url, bare)
    }
    return bare
  }

  /** @throws CommsError for a URL that may not be requested */
  targetOf(url: string | URL, params?: RequestOptions['params']): Target {
    return resolveTarget(url, params ? serializeQuery(params) : '', this.rules)
  }

  /** Header fields as they are sent; those given later replace those before. @throws CommsError `BAD_REQUEST` */
  fieldsOf(...inputs: readonly (HeadersInput | undefined)[]): HeaderFields {
    const fields = emptyFields()
    for (const input of inputs) setHeaders(fields, input)
    return fields
  }

  #build(method: string, url: string | URL, body: PreparedBody, options: CallOptions): PreparedRequest {
    if (!METHOD.test(method))
      throw badRequest(`method ${JSON.stringify(method.slice(0, 100))} cannot be sent`)
    const settings = this.#settings
    const target = this.targetOf(url, options.params)
    const headers = this.#headers(body, options)
    return {
      target,
      endpoint: this.#limitKey(method, target, options),
      body,
      safeToRepeat: 'idempotency-key' in headers || (options.retryUnsafe ?? settings.retryUnsafe),
      wire: {
        method,
        origin: target.origin,
        path: target.path,
        headers,
        body: wireBody(body),
        maxResponseBytes: options.maxResponseBytes ?? this.#maxBytes(isStreamed(options)),
        maxHeaderBytes: settings.maxHeaderBytes,
        mayFollowUnseen:
          settings.maxRedirects > 0 && !Object.keys(headers).some((name) => this.sensitive.has(name)),
        platformInit: options.platformInit,
        onUploadProgress: options.onUploadProgress,
        onDownloadProgress: options.onDownloadProgress,
      },
    }
  }

  /** The client's, the body's and the caller's own, each over those before. */
  #headers(
    { contentType, contentLength }: PreparedBody,
    { headers, idempotencyKey: key }: RequestOptions = {},
  ): HeaderFields {
    if (headers === undefined && key === undefined && contentLength === undefined) {
      if (contentType === undefined) return this.#defaults
      if (contentType === JSON_TYPE) {
        this.#jsonDefaults ??= this.#with(JSON_TYPE)
        return this.#jsonDefaults
      }
    }
    const fields = this.#with(contentType)
    if (contentLength !== undefined) fields['content-length'] = String(contentLength)
    setHeaders(fields, headers)
    if (contentType?.startsWith(MULTIPART) && fields['content-type']?.toLowerCase().startsWith(MULTIPART))
      fields['content-type'] = contentType
    if (key !== undefined)
      setHeader(fields, 'idempotency-key', idempotencyKeyField(key === true ? randomId() : key))
    return fields
  }

  /** What the limiter goes by. @throws CommsError `CALLBACK_FAILED` */
  #limitKey(
    method: string,
    { origin, path, pathname }: Target,
    { rateCategory: category = 'api' }: CallOptions,
  ) {
    const { scope = 'endpoint' } = this.#settings.rateLimiterOptions ?? {}
    if (scope === 'endpoint') return `${method} ${pathname}`
    if (scope === 'origin') return origin
    const url = origin + path
    return fenced('rateLimiterOptions.scope', () => {
      const key: unknown = scope({ method, url, origin, pathname, category })
      if (typeof key !== 'string') throw new TypeError(`it must return a string, got ${typeof key}`)
      return key
    })
  }

  /** A stream takes no memory, however long it is: only a limit that somebody has set holds for it. */
  #maxBytes(streamed: boolean): number {
    const { maxResponseBytes } = this.#settings
    return streamed && maxResponseBytes === clientDefaults.maxResponseBytes
      ? Number.POSITIVE_INFINITY
      : maxResponseBytes
  }

  #with(contentType: string | undefined): HeaderFields {
    const fields = Object.assign(emptyFields(), this.#defaults)
    if (contentType !== undefined) fields['content-type'] = contentType
    return fields
  }
}

function isStreamed({ raw, responseType }: CallOptions): boolean {
  return raw === true || responseType === 'stream'
}

const nothing: ReadonlySet<string> = new Set()

function setOf(items: readonly string[] | undefined, form: (item: string) => string): ReadonlySet<string> {
  return items?.length ? new Set(items.map(form)) : nothing
}

/** One that is made anew for every attempt is not there yet. */
function wireBody({ content }: PreparedBody): HttpRequest['body'] {
  return typeof content === 'function' ? undefined : content
}
