// One attempt of a call: what the transport reports of it, redirects included, becomes an answer or an error. Made anew for each.

import {
  ApiError,
  badRequest,
  CommsError,
  callbackFailed,
  fenced,
  isA,
  NetworkError,
  TimeoutError,
} from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import { redactUrl } from '../core/redact.ts'
import { makeBody } from '../http/body.ts'
import { isRepeatable } from '../http/classify.ts'
import { emptyFields, setHeader } from '../http/headers.ts'
import { parseBody, parseErrorBody } from '../http/parseBody.ts'
import { retryAfterMs, shouldRetry } from '../http/retryAfter.ts'
import { checkOrigin, type Target } from '../http/url.ts'
import type { Ending, Underway } from '../policies/layer.ts'
import type {
  BodyForm,
  HttpExchange,
  HttpHeaders,
  HttpReceiver,
  HttpRequest,
  HttpResponse,
} from '../transport/HttpTransport.ts'
import type { Call } from './call.ts'
import type { AttemptTimings } from './events.ts'
import { learnFrom } from './learning.ts'
import type { TokenSource } from './options.ts'

const redirects = lazily(() => import('../http/redirects.ts'))

const noHeaders: HttpHeaders = Object.freeze({})

/** What a call resolves to: the answer to its last attempt. */
export interface Answer {
  readonly status: number
  readonly statusText: string | undefined
  /** Names in lower case. */
  readonly headers: HttpHeaders
  readonly setCookie: readonly string[] | undefined
  /** The parsed body, or its stream; its bytes where the answer was wanted as it is. */
  readonly data: unknown
  /** Where it came from, secrets in the query replaced. */
  readonly url: string
  /** The same with its secrets: for the caller's own eyes. */
  readonly finalUrl: string
  /** Whether it came from elsewhere than was asked. */
  readonly redirected: boolean
  /** Attempts that left the client. */
  readonly attempts: number
  /** Of every attempt, in order. */
  readonly timings: AttemptTimings[]
}

export class Attempt implements HttpReceiver, Underway, Answer {
  status = 0
  statusText: string | undefined
  headers: HttpHeaders = noHeaders
  setCookie: readonly string[] | undefined
  data: unknown
  readonly #call: Call
  readonly #number: number
  readonly #previous: Attempt | undefined
  /** Undefined once it is over. */
  #ending: Ending | undefined
  readonly #startedAt: number
  /** When the request began to be written; NaN while no byte can have reached a server. */
  #sentAt = Number.NaN
  #headersAt = Number.NaN
  #endedAt = Number.NaN
  #target: Target
  #wire: HttpRequest
  /** Redirects followed. */
  #hops = 0
  /** A redirect has been followed that ended the original request. */
  #answered = false
  #seenUrl: string | undefined
  #exchange: HttpExchange | undefined

  constructor(call: Call, number: number, startedAt: number, ending: Ending) {
    const { target, wire } = call.prepared
    this.#call = call
    this.#number = number
    this.#startedAt = startedAt
    this.#ending = ending
    this.#previous = call.latest
    this.#target = target
    this.#wire = wire
  }

  get url(): string {
    return redactUrl(this.#href)
  }

  get finalUrl(): string {
    return this.#seenUrl ?? this.#href
  }

  get redirected(): boolean {
    return this.#hops > 0 || this.#seenUrl !== undefined
  }

  get attempts(): number {
    return this.#call.attempts
  }

  get timings(): AttemptTimings[] {
    const timings = this.#previous?.timings ?? []
    timings.push({
      attempt: this.#number,
      untilSent: this.#sentAt - this.#startedAt,
      untilHeaders: this.#headersAt - this.#startedAt,
      total: this.#endedAt - this.#startedAt,
    })
    return timings
  }

  get endedAt(): number {
    return this.#endedAt
  }

  get #href(): string {
    return this.#target.origin + this.#target.path
  }

  /** Whether anything has been handed to the transport. */
  get wasSent(): boolean {
    return this.#exchange !== undefined
  }

  start(): void {
    const call = this.#call
    const { token } = call.core
    call.underway = this
    if (token === undefined || !call.takesToken) this.#dispatch()
    else this.#authorize(token)
  }

  /** Anew for each attempt: tokens are renewed. */
  #authorize(token: TokenSource): void {
    const authorized = (value: string | undefined) => {
      this.#wire = withToken(this.#wire, value)
      this.#dispatch()
    }
    try {
      const given = typeof token === 'function' ? fenced('token', token) : token
      if (typeof given !== 'object') authorized(given)
      else {
        const failed = (thrown: unknown) => Promise.reject(callbackFailed('token', thrown))
        this.#whenDone(Promise.resolve(given).catch(failed), authorized)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  interrupt(error: unknown): void {
    this.#exchange?.cancel(error)
    this.#fail(error)
  }

  onSent(): void {
    if (this.#hops === 0) this.#sentAt = this.#now()
  }

  onHead(status: number): BodyForm {
    this.#headersAt = this.#now()
    return this.#call.bodyForm(isSuccess(status))
  }

  onFailure(error: unknown): void {
    // By its field: a transport may have been made with another copy of the library.
    const isOurs = isA(error, Error) && 'attempts' in error
    const failure = isOurs ? error : callbackFailed('transport', error)
    this.#call.runInAsyncScope(this.#fail, this, failure)
  }

  onResponse(response: HttpResponse): void {
    this.#call.runInAsyncScope(this.#take, this, response)
  }

  /** Whether it may be repeated, as far as its failure tells. */
  isRepeatable(error: unknown): boolean {
    const { prepared, core } = this.#call
    return isRepeatable({
      error,
      method: prepared.wire.method,
      retryStatusCodes: core.settings.retryStatusCodes,
      serverSays: shouldRetry(this.headers),
      safeToRepeat: prepared.safeToRepeat,
      replayable: prepared.body.replayable,
      neverSent:
        this.#hops === 0 &&
        (Number.isNaN(this.#sentAt) || (error instanceof NetworkError && error.neverSent)),
      answered: this.#answered,
      attempt: this.#number,
    })
  }

  /** Lets go of a body that nobody will read: nothing to do where it has come as a whole. */
  discard(): void {
    if (this.data instanceof ReadableStream) this.data.cancel().catch(() => {})
  }

  #now(): number {
    return this.#call.core.settings.clock.now()
  }

  /** To the transport; a body that is a function is made anew each time. */
  #dispatch(): void {
    const { content } = this.#call.prepared.body
    if (typeof content !== 'function' || this.#answered) this.#send(this.#wire)
    else this.#whenDone(makeBody(content), (body) => this.#send({ ...this.#wire, body }))
  }

  #send(wire: HttpRequest): void {
    this.#wire = wire
    try {
      this.#exchange = this.#call.core.transport.send(this.#observed(wire), this)
    } catch (thrown) {
      this.#fail(thrown instanceof CommsError ? thrown : callbackFailed('transport.send', thrown))
    }
  }

  /** Who watches the bytes hears of them in the caller's context, and what it throws ends the call. */
  #observed(wire: HttpRequest): HttpRequest {
    const { onUploadProgress, onDownloadProgress } = wire
    if (!onUploadProgress && !onDownloadProgress) return wire
    let failed = false
    const tell = (name: string, listener: () => void) => {
      if (failed) return
      try {
        this.#call.runInAsyncScope(() => fenced(name, listener), undefined)
      } catch (error) {
        failed = true
        this.#exchange?.cancel(error)
        this.onFailure(error)
      }
    }
    return {
      ...wire,
      onUploadProgress:
        onUploadProgress && ((sent, total) => tell('onUploadProgress', () => onUploadProgress(sent, total))),
      onDownloadProgress:
        onDownloadProgress &&
        ((received, total) => tell('onDownloadProgress', () => onDownloadProgress(received, total))),
    }
  }

  #take(response: HttpResponse): void {
    if (!this.#ending) return
    const { status, headers, body, finalUrl } = response
    const { core, options, prepared } = this.#call
    const { learnRateLimits } = core.settings
    this.status = status
    this.statusText = response.statusText
    this.headers = headers
    this.setCookie = response.setCookie
    this.data = body
    try {
      if (learnRateLimits) {
        const { endpoint } = prepared
        fenced('learnRateLimits', () =>
          learnFrom(core, learnRateLimits, endpoint, options.rateCategory, response),
        )
      }
      if (finalUrl !== undefined) {
        checkOrigin(new URL(finalUrl), core.requests.rules)
        this.#seenUrl = finalUrl
      }
      if (headers.location !== undefined && isRedirect(status) && this.#maxRedirects > 0) {
        this.#follow()
      } else if (isSuccess(status)) {
        if (body instanceof Uint8Array && !options.raw) this.data = this.#read(body)
        this.#end()?.resolve(this)
      } else {
        this.#fail(this.#statusError(body))
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    const ending = this.#end()
    if (!ending) return
    if (error instanceof TimeoutError) this.#call.core.counters.timeouts += 1
    if (!(error instanceof ApiError)) this.discard()
    ending.reject(error)
  }

  #end(): Ending | undefined {
    const ending = this.#ending
    if (!ending) return undefined
    this.#ending = undefined
    this.#endedAt = this.#now()
    const call = this.#call
    if (call.underway === this) call.underway = undefined
    return ending
  }

  /** Goes on with what work of this attempt came to, unless it has ended meanwhile. */
  #whenDone<T>(work: T | Promise<T>, onDone: (value: T) => void): void {
    Promise.resolve(work)
      .then((value) => {
        if (this.#ending) onDone(value)
      })
      .catch((error) => this.#fail(error))
  }

  get #maxRedirects(): number {
    const { options, core } = this.#call
    return options.maxRedirects ?? core.settings.maxRedirects
  }

  #follow(): void {
    // What came with the redirect is of no use.
    this.discard()
    this.data = undefined
    this.#whenDone(redirects(), ({ redirect }) => {
      const { core, prepared } = this.#call
      const next = redirect(this.#wire, {
        status: this.status,
        location: this.headers.location,
        target: this.#target,
        hops: this.#hops,
        maxRedirects: this.#maxRedirects,
        replayable: prepared.body.replayable,
        resolve: (url) => core.requests.targetOf(url),
        sensitive: core.requests.sensitive,
      })
      this.#hops += 1
      this.#answered ||= next.answered
      this.#target = next.target
      this.#wire = next.wire
      this.#dispatch()
    })
  }

  /** @throws CommsError `BAD_RESPONSE` */
  #read(body: Uint8Array): unknown {
    const { options, core } = this.#call
    try {
      return parseBody(body, this.headers['content-type'], options.responseType, core.transport)
    } catch (error) {
      const { message, code, cause } = error as CommsError
      const { method, url } = this.#call.about
      throw new CommsError(`${method} ${url}: ${message}`, { code, cause })
    }
  }

  #statusError(body: HttpResponse['body']): ApiError {
    const { status, headers } = this
    const { about, core } = this.#call
    const { settings, transport } = core
    return new ApiError(`HTTP ${status}: ${about.method} ${about.url}`, {
      status,
      headers,
      url: about.url,
      body: body instanceof Uint8Array ? parseErrorBody(body, headers['content-type'], transport) : undefined,
      retryAfter: retryAfterMs(headers, settings.clock.wallNow()),
    })
  }
}

function withToken(wire: HttpRequest, token: string | undefined): HttpRequest {
  if (!token) return wire
  if (typeof token !== 'string') throw badRequest(`token must be a string, got ${typeof token}`)
  const headers = Object.assign(emptyFields(), wire.headers)
  setHeader(headers, 'authorization', `Bearer ${token}`)
  return { ...wire, headers }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function isRedirect(status: number): boolean {
  return /^30[12378]$/.test(String(status))
}
