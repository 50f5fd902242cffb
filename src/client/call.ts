// One call: a request, and a run through the layers of policies/ that ends with the answer to its last attempt. Counts it, tells
// of it, and lets go of it.

import { onAbort } from '../core/abort.ts'
import { AbortError, ApiError, abortedBy, CommsError, TimeoutError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import { redactUrl } from '../core/redact.ts'
import type { HeadersInput } from '../http/headers.ts'
import { Run } from '../policies/layer.ts'
import type { AttemptContext } from '../policies/Policy.ts'
import type { TokenDemand } from '../policies/rateLimiter/LimiterLayer.ts'
import type { BodyForm } from '../transport/HttpTransport.ts'
import type { Attempt } from './attempt.ts'
import type { ClientCore, Live } from './core.ts'
import type { ApiClientEvents } from './events.ts'
import type { CallOptions } from './options.ts'
import type { PreparedRequest } from './requests.ts'

const guarding = lazily(() => import('./guardedStream.ts'))

/** What its promise resolves to: the whole answer, or the body in it. */
export type Wanted = 'answer' | 'data'

/** The context that its first attempt runs in is the call itself; it is ended by `stop`, not by a signal of each attempt. */
export class Call extends Run implements AttemptContext, Live, TokenDemand {
  place = 0
  readonly signal = undefined
  /** 1, or 2 for one that is a hedge: then another has been counted and paid for. */
  readonly attempt: number
  readonly deadlineAt: number
  readonly #id: number
  readonly core: ClientCore
  readonly prepared: PreparedRequest
  readonly options: CallOptions
  /** Attempts that left the client. */
  attempts = 0
  /** The attempt under way, or the last one. */
  latest: Attempt | undefined
  /** How long the attempt under way may take. */
  limitMs = 0
  isOver = false
  #stopped = false
  #starting = true
  readonly #wanted: Wanted
  readonly #startedAt: number
  #release: (() => void) | undefined

  constructor(core: ClientCore, prepared: PreparedRequest, options: CallOptions, wanted: Wanted) {
    super()
    const { clock } = core.settings
    this.core = core
    core.lastCallId += 1
    this.#id = core.lastCallId
    this.prepared = prepared
    this.options = options
    this.#wanted = wanted
    this.#startedAt = this.now(clock)
    this.deadlineAt = core.deadlineOf(options, this.#startedAt)
    this.attempt = options.hedge === 'extra' ? 2 : 1
  }

  // What it takes from the limiter.

  get endpoint(): string {
    return this.prepared.endpoint
  }

  get category(): string | undefined {
    return this.options.rateCategory
  }

  get cost(): number | undefined {
    return this.options.rateCost
  }

  get priority(): number | undefined {
    return this.options.priority
  }

  start(): void {
    this.#begin()
    this.#starting = false
  }

  #begin(): void {
    const { core } = this
    const { signal, hedge } = this.options
    if (hedge === 'extra') {
      core.counters.hedges += 1
      this.tell('debug', 'hedge', {})
    } else core.counters.totalRequests += 1
    core.live.add(this)
    if (signal?.aborted) {
      this.reject(abortedBy(signal))
      return
    }
    if (signal) {
      const aborted = () => this.stop(abortedBy(signal))
      this.#release = onAbort(signal, () => this.runInAsyncScope(aborted, undefined))
    }
    try {
      core.pipeline.enter(this, this, this)
    } catch (error) {
      this.stop(error)
      this.reject(error)
    }
  }

  override get stopped(): boolean {
    return this.#stopped
  }

  /** Ends it, whatever it is at. */
  stop(error: unknown): void {
    this.#stopped = true
    this.interrupt(error)
  }

  /** The client goes. */
  end(error: CommsError): void {
    this.runInAsyncScope(this.stop, this, error)
  }

  /** How the body is wanted. */
  bodyForm(success: boolean): BodyForm {
    const { raw, responseType } = this.options
    return raw ? 'ready' : responseType === 'stream' && success
  }

  /** Whether the client's token goes with it: not with one that brings an `Authorization` of its own, or takes it away. */
  get takesToken(): boolean {
    const { auth = true, headers } = this.options
    return auth && !('authorization' in this.prepared.wire.headers) && !names(headers, 'authorization')
  }

  /** The time that the next attempt may take. */
  limit(now: number): number {
    const { options, core } = this
    this.limitMs = Math.min(options.timeout ?? core.settings.timeout, this.deadlineAt - now)
    return this.limitMs
  }

  timeoutError(): TimeoutError {
    const { options, core, limitMs } = this
    const timeoutMs = options.timeout ?? core.settings.timeout
    const byDeadline = limitMs < timeoutMs
    const { method, url } = this.about
    const what = byDeadline ? 'the deadline has passed' : `no full answer in ${timeoutMs} ms`
    return new TimeoutError(`timeout: ${method} ${url}: ${what}`, {
      url,
      phase: byDeadline ? 'deadline' : 'attempt',
      timeoutMs: byDeadline ? Math.max(0, Math.round(limitMs)) : timeoutMs,
    })
  }

  /** It has been answered. */
  override resolve(): void {
    const attempt = this.latest as Attempt
    if (attempt.data instanceof ReadableStream) this.#guard(attempt, attempt.data)
    else this.#deliver(attempt)
  }

  /** It has failed for good. */
  override reject(error: unknown): void {
    if (this.isOver) return
    const { core, latest, attempts } = this
    const { raw, hedge } = this.options
    // Who asked for the answer as it is gets it, whatever its status.
    if (raw && error instanceof ApiError && latest?.status === error.status) {
      this.resolve()
      return
    }
    latest?.discard()
    this.#finish()
    if (error instanceof CommsError) error.attempts = attempts
    const aborted = error instanceof AbortError
    // A race that is lost, or left by its caller, is counted where it is run: as if this had never been.
    if (!aborted || !hedge) {
      core.counters.failedRequests += 1
      if (aborted) core.counters.aborted += 1
      this.tell('warn', 'failure', { error, attempts, duration: this.#duration })
    }
    if (this.#starting) super.reject(fromCaller(error, core.call))
    else this.rejectLate(error)
  }

  tell<K extends Exclude<keyof ApiClientEvents, 'breaker' | 'learned'>>(
    level: 'debug' | 'warn',
    event: K,
    fields: Omit<ApiClientEvents[K][0], 'callId' | 'method' | 'url'>,
  ): void {
    if (!this.core.hears(event)) return
    this.core.tell(level, event, { callId: this.#id, ...this.about, ...fields } as ApiClientEvents[K][0])
  }

  /** What events and errors go by: the method as it was asked, the URL as redirects have made it. */
  get about() {
    const { wire, target } = this.prepared
    return { method: wire.method, url: this.latest?.url ?? redactUrl(target.origin + target.path) }
  }

  get #duration(): number {
    return this.core.settings.clock.now() - this.#startedAt
  }

  /** The stream of an answer ends with the caller's signal, its deadline, the server's silence or the client. */
  #guard(attempt: Attempt, stream: ReadableStream<Uint8Array>): void {
    const { core, deadlineAt } = this
    const { idleTimeout, signal, callerSignal = signal } = this.options
    this.underway = { interrupt: (error) => this.reject(error) }
    Promise.resolve(guarding()).then(
      ({ guardStream }) => {
        if (this.isOver) return
        attempt.data = guardStream(stream, core, {
          idleTimeoutMs: idleTimeout ?? core.settings.idleTimeout,
          deadlineAt,
          signal: callerSignal,
          url: attempt.url,
          attempts: this.attempts,
          translate: this.options.bodyError,
        })
        this.#deliver(attempt)
      },
      (error) => this.reject(error),
    )
  }

  #deliver(attempt: Attempt): void {
    if (this.isOver) return
    const { core, attempts } = this
    this.#finish()
    core.counters.successfulRequests += 1
    if (core.hears('response')) {
      const { status, timings, endedAt } = attempt
      this.tell('debug', 'response', { status, attempts, duration: endedAt - this.#startedAt, timings })
    }
    super.resolve(this.#wanted === 'data' ? attempt.data : attempt)
  }

  /** Lets go of all that it holds. */
  #finish(): void {
    this.isOver = true
    this.#release?.()
    this.core.live.delete(this)
  }
}

function names(headers: HeadersInput | undefined, field: string): boolean {
  if (headers === undefined || Symbol.iterator in headers) return false
  return Object.keys(headers).some((name) => name.toLowerCase() === field)
}

/** While a call starts its caller is on the stack, if too deep to be seen: our own part, down to `entry`, is left out. */
export function fromCaller(error: unknown, entry: (...args: never) => unknown): unknown {
  if (error instanceof CommsError) Error.captureStackTrace?.(error, entry)
  return error
}
