// Calls that are one request (identical GETs at the same time), and calls that are several (hedges): both opt-in.

import { isIdempotent } from '../http/idempotency.ts'
import { Coalescer } from '../policies/coalesce/coalesce.ts'
import type { Policy } from '../policies/Policy.ts'
import type { Call } from './call.ts'
import type { CallOptions } from './options.ts'

/** Starts a call and resolves to it once it is answered. */
export type Start = (options: CallOptions) => Promise<Call>

export class Sharing {
  readonly #hedge: Policy | undefined
  readonly #coalescer: Coalescer<Call> | undefined

  constructor({ hedge, coalesce }: { hedge?: Policy; coalesce?: boolean }) {
    this.#hedge = hedge
    this.#coalescer = coalesce ? new Coalescer() : undefined
  }

  run(method: string, url: string | URL, options: CallOptions, start: Start): Promise<Call> {
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
  #hedged(method: string, options: CallOptions, start: Start): Promise<Call> {
    if (!this.#hedge || !isIdempotent(method)) return start(options)
    return this.#hedge.execute(({ signal }) => start({ ...options, signal }), {
      signal: options.signal,
      attempt: 1,
      deadlineAt: Number.POSITIVE_INFINITY,
    })
  }
}

/** Everything that makes two GETs differ, credentials in their headers included; the client's own are the same for both. */
function keyOf(url: string | URL, { signal: _, ...options }: CallOptions): string {
  return JSON.stringify([String(url), options], (_name, value: unknown) => {
    if (value instanceof Headers || value instanceof URLSearchParams) return [...value]
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
