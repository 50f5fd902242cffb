// Calls that are one request (identical GETs at the same time), and calls that are several (hedges): both opt-in.

import { AbortError } from '../core/errors.ts'
import { isIdempotent } from '../http/idempotency.ts'
import { Coalescer } from '../policies/coalesce/coalesce.ts'
import type { Policy } from '../policies/Policy.ts'
import type { Answer } from './attempt.ts'
import type { ClientCore } from './core.ts'
import type { CallOptions } from './options.ts'

/** Starts a call and resolves to it once it is answered. */
export type Start = (options: CallOptions) => Promise<Answer>

export class Sharing {
  readonly #core: ClientCore
  readonly #hedge: Policy | undefined
  readonly #coalescer: Coalescer<Answer> | undefined

  constructor(core: ClientCore) {
    const { hedge, coalesce } = core.settings
    this.#core = core
    this.#hedge = hedge
    this.#coalescer = coalesce ? new Coalescer() : undefined
  }

  /** @param given its `deadlineAt` holds for all calls together */
  run(method: string, url: string | URL, given: CallOptions, start: Start): Promise<Answer> {
    const options = { ...given, deadlineAt: this.#core.deadlineOf(given) }
    // A body that is read once cannot be shared.
    const streams = options.raw === true || options.responseType === 'stream'
    if (method === 'GET' && this.#coalescer && !streams) {
      const { signal } = options
      return this.#coalescer.run(
        keyOf(url, options),
        (shared) => this.#hedged(method, { ...options, signal: shared }, start),
        signal,
      )
    }
    return this.#hedged(method, options, start)
  }

  /** Only what may run twice is hedged. */
  async #hedged(
    method: string,
    options: CallOptions & { deadlineAt: number },
    start: Start,
  ): Promise<Answer> {
    if (!this.#hedge || !isIdempotent(method)) return start(options)
    const { counters, tools, settings } = this.#core
    const { signal, deadlineAt } = options
    const inherited = { ...options, callerSignal: options.callerSignal ?? signal }
    let first: Promise<Answer> | undefined
    try {
      return await this.#hedge.execute(
        (inner) => {
          if (!first) {
            first = start({ ...inherited, signal: inner.signal, hedge: 'first' })
            return first
          }
          // What cannot be afforded waits for the first, so that it neither fails nor holds up the end.
          if (!tools.budget.tryWithdraw(settings.clock.now())) return first
          return start({ ...inherited, signal: inner.signal, hedge: 'extra' })
        },
        { signal, attempt: 1, deadlineAt },
      )
    } catch (error) {
      if (signal?.aborted && error instanceof AbortError) {
        counters.aborted += 1
        counters.failedRequests += 1
      }
      throw error
    }
  }
}

/**
 * Everything that makes two GETs differ, credentials in their headers included; the client's own are the same for both.
 * What each caller does for itself is left out: aborting, and holding the body against a schema.
 */
function keyOf(url: string | URL, given: CallOptions): string {
  const { signal: _, callerSignal: __, schema: ___, deadlineAt: ____, ...options } = given
  return JSON.stringify([String(url), options], (_name, value: unknown) => {
    // Headers, URLSearchParams and kin have no fields of their own, so that all of them would look the same.
    if (typeof value === 'object' && value && Symbol.iterator in value && !Array.isArray(value))
      return [...(value as Iterable<unknown>)]
    if (typeof value === 'bigint') return String(value)
    // A function has no text that tells it from another: then only the very same object is the same.
    return typeof value === 'function' ? identityOf(value) : value
  })
}

const identities = new WeakMap<object, number>()
let lastIdentity = 0

function identityOf(value: object): number {
  const known = identities.get(value)
  if (known !== undefined) return known
  lastIdentity += 1
  identities.set(value, lastIdentity)
  return lastIdentity
}
