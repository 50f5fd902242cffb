// Requests that wait for their reply: paired by `request_id` or `id`, each with a limit of its own.

import type { Clock, TimerHandle } from '../core/clock.ts'
import { AbortError, CommsError, TimeoutError } from '../core/errors.ts'
import { checkOptions, limit, plainObject } from '../core/options.ts'
import { isBytes } from './encoding.ts'
import type { MessageLayer } from './messageLayer.ts'

/** What names a request: the app's own `id`, or one made for it. */
export type RequestId = string | number

export interface RequestOptions {
  /** Milliseconds until it is given up, waiting in the queue included; `Infinity` for never. @default 30000 */
  readonly timeout?: number | undefined
  /** Gives it up when aborted. */
  readonly signal?: AbortSignal | undefined
}

const requestRules = {
  timeout: limit,
  signal: 'an object with addEventListener',
}

/**
 * Checks a request before anything is done.
 * @throws TypeError or RangeError for wrong options, CommsError `BAD_REQUEST` for what cannot carry an id, AbortError
 */
export function resolveRequestOptions(
  data: unknown,
  options: RequestOptions,
): { timeout: number; signal: AbortSignal | undefined } {
  checkOptions('GuruConnection.request', options, requestRules)
  const { timeout = 30_000, signal } = options
  if (signal?.aborted) throw abortedRequest(signal)
  const id: unknown = plainObject.accepts(data) && !isBytes(data) ? (data as { id?: unknown }).id : null
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number') {
    const message = 'request: data must be an object; its "id", if it has one, a string or a number'
    throw new CommsError(message, { code: 'BAD_REQUEST' })
  }
  return { timeout, signal }
}

/** What a request needs of whoever carries it. */
interface Carrier {
  readonly layer: Pick<MessageLayer, 'queued' | 'withdraw'>
}

interface Pending {
  /** The number that the layer gave its message. */
  readonly seq: number
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: TimerHandle
  readonly signal: AbortSignal | undefined
}

export class Requests {
  // A Map, not an object: an id from outside may be "__proto__".
  readonly #pending = new Map<unknown, Pending>()
  readonly #carrier: Carrier
  readonly #time: { readonly clock: Clock; readonly unref: boolean }
  // One function for all requests: a signal that many share gets one listener of it, not one for each of them.
  readonly #onAbort = ({ target }: Event): void => {
    this.fail(abortedRequest(target as AbortSignal), ({ signal }) => signal === target)
  }

  /** @param time where its timers are, and whether they keep a process alive */
  constructor(carrier: Carrier, time: { readonly clock: Clock; readonly unref: boolean }) {
    this.#carrier = carrier
    this.#time = time
  }

  /**
   * Waits for the reply to `id`.
   * @param send gives the message to the layer, and returns its number
   * @throws CommsError `BAD_REQUEST` when a request of this id still waits: the reply could not be told apart
   */
  start(id: RequestId, send: () => number, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    if (this.#pending.has(id)) {
      throw new CommsError(`request: another request with the id ${id} still waits`, { code: 'BAD_REQUEST' })
    }
    const seq = send()
    const { promise, resolve, reject } = Promise.withResolvers()
    const timeOut = () => {
      const fate = this.#carrier.layer.queued(seq) ? 'it was never sent' : 'it may have been handled'
      const message = `request timeout: no reply to ${id} within ${timeoutMs} ms; ${fate}`
      this.fail(new TimeoutError(message, { phase: 'deadline', timeoutMs }), (pending) => pending.seq === seq)
    }
    const { clock, unref } = this.#time
    const timer = timeoutMs < Infinity ? clock.setTimeout(timeOut, timeoutMs, unref) : undefined
    this.#pending.set(id, { seq, resolve, reject, timer, signal })
    signal?.addEventListener('abort', this.#onAbort)
    return promise
  }

  /** A message came: it settles the request that it answers. */
  settle(message: { request_id?: unknown; id?: unknown }): void {
    const pending = this.#take(message.request_id) ?? this.#take(message.id)
    pending?.resolve(message)
  }

  /** Some, by default all, can have no reply any more. What of them still waits in the queue is withdrawn. */
  fail(error: Error, concerns: (pending: Pending) => boolean = () => true): void {
    for (const [id, pending] of this.#pending) {
      if (!concerns(pending)) continue
      this.#take(id)
      this.#carrier.layer.withdraw(pending.seq)
      pending.reject(error)
    }
  }

  #take(id: unknown): Pending | undefined {
    const pending = this.#pending.get(id)
    if (!pending) return undefined
    const { timer, signal } = pending
    this.#pending.delete(id)
    this.#time.clock.clearTimeout(timer)
    if (signal && ![...this.#pending.values()].some((other) => other.signal === signal)) {
      signal.removeEventListener('abort', this.#onAbort)
    }
    return pending
  }
}

/** The error of a request whose signal aborted. */
function abortedRequest(signal: AbortSignal): AbortError {
  return new AbortError('the request was aborted', { cause: signal.reason })
}
