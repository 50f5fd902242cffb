// A bearer token that is renewed when a server refuses it: one renewal for all that are refused meanwhile, then once more.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { abortedBy, callbackFailed, isA, TimeoutError } from '../../core/errors.ts'
import { callable, checkOptions, clockRule, either, interval, text } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { around, type Ending, type Inner, LayerPolicy, Link, type Run, type Underway } from '../layer.ts'
import type { AttemptContext } from '../Policy.ts'

export interface BearerAuthOptions {
  /** The token, or a function that gives it, asked before every attempt; without a token nothing is sent. */
  token: string | (() => string | undefined | PromiseLike<string | undefined>)
  /**
   * Gets a new token when one is refused. What it gives is the token from then on; if it gives nothing, `token` is asked again.
   * Its own requests must not be made under this policy: they would wait for themselves (`auth: false` of an ApiClient's call).
   */
  refresh?: (() => unknown) | undefined
  /** Statuses that say that a token is refused. @default [401] */
  statuses?: readonly number[] | undefined
  /** Milliseconds that `refresh` may take. @default 30000 */
  refreshTimeout?: number | undefined
  clock?: Clock | undefined
}

const rules = {
  token: either(text, callable),
  refresh: callable,
  statuses: 'an array, each item a whole number from 100 to 599',
  refreshTimeout: interval,
  clock: clockRule,
}

/** As the option `auth` of an ApiClient it sets the header itself; by itself, the operation asks `token()`. */
export class BearerAuth extends LayerPolicy {
  readonly #options: BearerAuthOptions
  readonly #statuses: readonly number[]
  /** What the last renewal gave. */
  #renewed: string | undefined
  /** The renewal under way. */
  #renewal: Promise<void> | undefined
  /** Counts renewals, so that who was refused with an older token knows. */
  #generation = 0
  readonly clock: Clock

  constructor(options: BearerAuthOptions) {
    super()
    checkOptions('bearerAuth', options, rules)
    checkOptions('bearerAuth', { token: options.token ?? null }, rules)
    this.#options = options
    this.#statuses = options.statuses ?? [401]
    this.clock = options.clock ?? systemClock
  }

  /** How many times it has been renewed. */
  get generation(): number {
    return this.#generation
  }

  /** The token for the next attempt; waits for a renewal that is under way. */
  token(): string | undefined | PromiseLike<string | undefined> {
    // Who is renewing may fail: then the old one goes, and what the server says of it is the news.
    if (this.#renewal)
      return this.#renewal.then(
        () => this.#known(),
        () => this.#known(),
      )
    return this.#known()
  }

  #known(): string | undefined | PromiseLike<string | undefined> {
    if (this.#renewed !== undefined) return this.#renewed
    const { token } = this.#options
    return typeof token === 'function' ? token() : token
  }

  /** Whether an error says that the token was refused, and there is a way to another one. */
  refuses(error: unknown): boolean {
    const status = isA(error, Error) && (error as { status?: unknown }).status
    return this.#options.refresh !== undefined && this.#statuses.includes(status as number)
  }

  /** Renews the token, once for all who ask meanwhile. @throws CommsError `CALLBACK_FAILED`; TimeoutError */
  renew(): Promise<void> {
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  async #renew(): Promise<void> {
    const { refresh, refreshTimeout = 30_000 } = this.#options
    let timer: TimerHandle | undefined
    const timeUp = new Promise<never>((_, reject) => {
      timer = this.clock.setTimeout(() => {
        const message = `timeout: no new token in ${refreshTimeout} ms`
        reject(new TimeoutError(message, { phase: 'attempt', timeoutMs: refreshTimeout }))
      }, refreshTimeout)
    })
    const refreshing = (async () => refresh?.())().catch((error) => {
      throw callbackFailed('refresh', error)
    })
    try {
      const renewed = await Promise.race([refreshing, timeUp])
      this.#renewed = typeof renewed === 'string' ? renewed : undefined
      this.#generation += 1
    } finally {
      this.clock.clearTimeout(timer)
    }
  }

  [around]<R extends Run>(inner: Inner<R>): Inner<R> {
    return {
      enter: (run, context, ending) =>
        inner.enter(run, context, new Authorized(this, inner, run, context, ending)),
    }
  }
}

/** A run whose token may be refused. */
class Authorized<R extends Run> extends Link implements Underway {
  readonly #auth: BearerAuth
  readonly #inner: Inner<R>
  readonly #run: R
  readonly #context: AttemptContext
  #generation: number
  #hasRenewed = false
  #waits = false
  #letGo: (() => void) | undefined

  constructor(auth: BearerAuth, inner: Inner<R>, run: R, context: AttemptContext, ending: Ending) {
    super(ending)
    this.#auth = auth
    this.#inner = inner
    this.#run = run
    this.#context = context
    this.#generation = auth.generation
  }

  override reject(error: unknown): void {
    const auth = this.#auth
    if (this.#run.stopped || this.#context.signal?.aborted || !auth.refuses(error)) super.reject(error)
    else if (this.#generation !== auth.generation) this.#again()
    else if (this.#hasRenewed) super.reject(error)
    else this.#renew()
  }

  interrupt(error: unknown): void {
    if (this.#end()) super.reject(error)
  }

  #renew(): void {
    this.#hasRenewed = true
    this.#wait()
    this.#auth.renew().then(
      () => {
        if (this.#end()) this.#again()
      },
      (error) => {
        if (this.#end()) super.reject(error)
      },
    )
  }

  #again(): void {
    this.#generation = this.#auth.generation
    this.#run.later()
    this.#inner.enter(this.#run, this.#context, this)
  }

  /** Others may wait on; this one goes when its caller does, or at its deadline. */
  #wait(): void {
    const run = this.#run
    const { clock } = this.#auth
    const { signal, deadlineAt } = this.#context
    this.#waits = true
    run.underway = this
    let timer: TimerHandle | undefined
    if (deadlineAt !== Infinity) {
      const timeoutMs = Math.max(0, Math.round(deadlineAt - clock.now()))
      const message = 'timeout: the deadline of the call has passed while its token was renewed'
      const due = () => run.interrupt(new TimeoutError(message, { phase: 'deadline', timeoutMs }))
      timer = clock.setTimeout(() => run.runInAsyncScope(due, undefined), timeoutMs)
    }
    let release: (() => void) | undefined
    this.#letGo = () => {
      if (timer !== undefined) clock.clearTimeout(timer)
      release?.()
    }
    if (!signal) return
    const gone = () => run.interrupt(abortedBy(signal, 'aborted while its token was renewed'))
    release = onAbort(signal, () => run.runInAsyncScope(gone, undefined))
  }

  /** @returns false when it has ended before */
  #end(): boolean {
    if (!this.#waits) return false
    this.#waits = false
    if (this.#run.underway === this) this.#run.underway = undefined
    this.#letGo?.()
    return true
  }
}

/**
 * A bearer token, renewed when it is refused: as the option `auth` of an ApiClient the header is set anew for each attempt; a
 * refused call waits for one renewal, shared by all, and is sent once more.
 */
export function bearerAuth(options: BearerAuthOptions): BearerAuth {
  return new BearerAuth(options)
}
