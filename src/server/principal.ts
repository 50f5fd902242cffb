// Who is at the other end, asked of the app: the one check of every door, HTTP routes, plain WebSockets and guru.v1.
// Only a non-empty string is somebody. In JavaScript a look-up that finds nothing gives `null`, `false` or an empty
// text as readily as `undefined`: all of that is nobody.

import type { Clock } from '../core/clock.ts'
import { timeout } from '../policies/timeout/timeout.ts'
import { type Called, call, kindOf } from './guard.ts'

export type Login =
  | { readonly kind: 'somebody'; readonly principal: string }
  | { readonly kind: 'nobody' }
  /** The app has not said so in time. */
  | { readonly kind: 'late' }

export interface LoginOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  /** Told why nobody was let in, where that is a fault of the app: it threw, was late, or gave something else. */
  readonly onError: (error: unknown) => void
}

export class LoginCheck {
  readonly #options: LoginOptions
  readonly #told: Set<string>

  /** @param told the kinds of wrong answers that were told: each once, not with every request of a stranger */
  constructor(options: LoginOptions, told: Set<string> = new Set()) {
    this.#options = options
    this.#told = told
  }

  /** @param run asks the app */
  async ask(run: () => unknown): Promise<Login> {
    const { clock, timeoutMs, onError } = this.#options
    // What the app does is fenced before the clock looks at it: what it throws may be anything.
    const within = timeout(timeoutMs, { clock, unref: true })
    const outcome = await call(() => within.execute(() => call(run)))
    if (!outcome.ok) {
      onError(outcome.error)
      return { kind: 'late' }
    }
    const called = outcome.value as Called
    if (!called.ok) {
      onError(called.error)
      return { kind: 'nobody' }
    }
    const { value } = called
    if (typeof value === 'string' && value !== '') return { kind: 'somebody', principal: value }
    // The way to say no.
    if (value !== undefined) this.#tell(kindOf(value))
    return { kind: 'nobody' }
  }

  #tell(kind: string): void {
    if (this.#told.has(kind)) return
    this.#told.add(kind)
    const what = `authenticate must give a non-empty string for who is let in and undefined for who is not; it gave ${kind}`
    this.#options.onError(new TypeError(`${what}, which lets nobody in (said once)`))
  }
}

/** The bearer token of a request. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S.*)$/i.exec(authorization ?? '')?.[1]
}
