// One rate limit for a whole fleet: the shell around LeaseMachine, that asks the engine and serves those who wait.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { AbortError, CommsError, RateLimitError } from '../../core/errors.ts'
import { checkOption } from '../../core/options.ts'
import { randomId } from '../../core/randomId.ts'
import { around, type Ending, type Inner, LayerPolicy, type Run } from '../../policies/layer.ts'
import type { AttemptContext } from '../../policies/Policy.ts'
import { EngineCalls, started } from '../EngineCalls.ts'
import { type EngineError, engineError } from '../EngineError.ts'
import { agreeOnLimit } from './agreedLimits.ts'
import { BUCKET, bucketArguments, bucketReply, type LeaseRequest } from './bucketScript.ts'
import type { SharedLimiterStats, SharedLimitRequest, SharedLimitResult } from './calls.ts'
import { LeaseMachine, nobodyWaits } from './LeaseMachine.ts'
import {
  type ResolvedSharedLimiterOptions,
  resolveSharedLimiterOptions,
  type SharedLimiterState,
  type SharedRateLimiterOptions,
} from './options.ts'

interface Waiter {
  readonly cost: number
  /** A caller that does not wait for tokens, only for the engine's word. */
  readonly impatient: boolean
  readonly deadlineAt: number
  /** The engine has been asked since it came. */
  asked: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  release: (() => void) | undefined
}

const costRule = `a number above 0, at most ${Number.MAX_SAFE_INTEGER}`
/** How many may wait before newcomers are refused. */
const MAX_WAITERS = 10_000

/**
 * A token bucket that all processes of a fleet share, decided in Redis or Valkey. Never more than
 * `burstCapacity + tokensPerSecond * t` calls go in any time t, over all processes together. A process takes several tokens at
 * once, so that few calls wait for the network; while the engine is away it keeps to its share of the limit.
 *
 * Also a policy, for `compose` or an ApiClient's `policy`.
 */
export class SharedRateLimiter extends LayerPolicy {
  readonly #options: ResolvedSharedLimiterOptions
  readonly #calls: EngineCalls
  readonly #machine: LeaseMachine
  readonly #id = randomId()
  readonly #key: string
  readonly #leaveAgreement: () => void
  readonly #waiters: Waiter[] = []
  #waitingCost = 0
  #nextDeadlineAt = Infinity
  #timer: TimerHandle | undefined
  #timerAt = Infinity
  #timerHeld = false
  #closed = false
  #asking: Promise<void> | undefined
  #error: EngineError | undefined
  #allowed = 0
  #limited = 0
  #roundTrips = 0

  /** @throws TypeError or RangeError naming the option; also when one of the same name has other numbers in this process */
  constructor(options: SharedRateLimiterOptions) {
    super()
    const resolved = resolveSharedLimiterOptions(options)
    const { engine, name, prefix, timeout, clock, lease, insuranceShare } = resolved
    this.#options = resolved
    this.#calls = new EngineCalls(engine, { what: `SharedRateLimiter "${name}"`, timeout, clock })
    this.#key = `${prefix}:limit:${name}`
    this.#leaveAgreement = agreeOnLimit(engine, this.#key, resolved)
    this.#machine = new LeaseMachine(resolved, { lifeMs: lease, share: insuranceShare })
    this.#look(clock.now())
  }

  get clock(): Clock {
    return this.#options.clock
  }

  /** Where it stands with the engine. */
  get state(): SharedLimiterState {
    return this.#machine.mode
  }

  /**
   * Resolves when the engine has answered: to be told at the start that it cannot be used.
   * @throws EngineError saying why not; after three seconds when it is only away. The limiter goes on trying all the same
   */
  ready(): Promise<void> {
    return started(this.clock, async () => {
      if (this.state === 'joining') await this.#asking
      return this.state === 'shared' ? undefined : this.#error
    })
  }

  /** Takes tokens that this process holds already: no network, no promise. What is refused is asked for. */
  tryTake(cost = 1): boolean {
    if (cost !== 1) checkOption('SharedRateLimiter', 'cost', cost, costRule)
    const now = this.#options.clock.now()
    const machine = this.#machine
    // Nobody is served past callers that wait.
    if (this.#waiters.length === 0 && machine.take(cost, now)) {
      this.#allowed += 1
      if (machine.isLow) this.#look(now)
      return true
    }
    this.#limited += 1
    if (this.#waiters.length === 0 && !this.#closed) this.#look(now, cost)
    return false
  }

  /** As `tryTake`, and says how long to wait. */
  tryConsume({ cost = 1 }: { cost?: number } = {}): SharedLimitResult {
    if (this.tryTake(cost)) return { allowed: true, retryAfter: 0 }
    return { allowed: false, retryAfter: this.#turnInMs(cost, this.#options.clock.now()) }
  }

  /**
   * Resolves once the tokens are taken; waits for the engine's word if need be, never for tokens.
   * @throws RateLimitError "Rate limit exceeded ...", with `retryAfter` in milliseconds; AbortError
   */
  check(request: SharedLimitRequest = {}): Promise<void> {
    return this.#enter(request, true) ?? DONE
  }

  /**
   * Resolves once the tokens are taken, in order of arrival.
   * @throws RateLimitError when its turn would come after the deadline, or too many wait; AbortError when aborted while waiting;
   *   CommsError `DISPOSED`. None of them takes a token
   */
  acquire(request: SharedLimitRequest = {}): Promise<void> {
    return this.#enter(request, false) ?? DONE
  }

  /** Runs `operation` when there is a token for it. @throws as `check` or, with `mode: 'wait'`, as `acquire` */
  [around](inner: Inner): Inner {
    return { enter: (run, context, ending) => this.#enterInTurn(inner, run, context, ending) }
  }

  #enterInTurn(inner: Inner, run: Run, context: AttemptContext, ending: Ending): void {
    const { signal, deadlineAt } = context
    let turn: Promise<void> | undefined
    try {
      turn = this.#enter({ signal, deadlineAt }, this.#options.mode === 'reject')
    } catch (error) {
      ending.reject(error)
      return
    }
    if (!turn) {
      inner.enter(run, context, ending)
      return
    }
    turn.then(
      () => {
        run.later()
        inner.enter(run, context, ending)
      },
      (error) => ending.reject(error),
    )
  }

  getStats(): SharedLimiterStats {
    return {
      state: this.#machine.mode,
      allowed: this.#allowed,
      limited: this.#limited,
      waiting: this.#waiters.length,
      roundTrips: this.#roundTrips,
      processes: this.#machine.processes,
      tokens: this.#machine.tokens(this.#options.clock.now()),
    }
  }

  /** Gives back what is left and says goodbye, so that nobody waits for this process. The engine stays open. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#leaveAgreement()
    this.#setTimer(Infinity)
    const error = new CommsError('the shared rate limiter was closed', { code: 'DISPOSED' })
    for (const waiter of [...this.#waiters]) this.#leave(waiter, error)
    await this.#asking
    const goodbye = this.#machine.leave(this.#options.clock.now())
    if (goodbye) await this.#run(goodbye).catch(() => {})
  }

  /** `undefined` when the tokens were there at once, so that nobody need wait a microtask. */
  #enter(
    { cost = 1, signal, deadlineAt = Infinity }: SharedLimitRequest,
    impatient: boolean,
  ): Promise<void> | undefined {
    if (cost !== 1) checkOption('SharedRateLimiter', 'cost', cost, costRule)
    if (signal?.aborted) return Promise.reject(aborted(signal))
    if (this.#closed)
      return Promise.reject(new CommsError('the shared rate limiter was closed', { code: 'DISPOSED' }))
    const now = this.#options.clock.now()
    const machine = this.#machine
    if (this.#waiters.length === 0 && machine.take(cost, now)) {
      this.#allowed += 1
      if (machine.isLow) this.#look(now)
      return undefined
    }
    if (cost > this.#options.burstCapacity || this.#waiters.length >= MAX_WAITERS) {
      this.#limited += 1
      return Promise.reject(this.#refusal(cost, this.#turnInMs(cost, now)))
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        cost,
        impatient,
        deadlineAt,
        asked: false,
        resolve,
        reject,
        release: undefined,
      }
      this.#waiters.push(waiter)
      this.#waitingCost += cost
      if (signal) waiter.release = onAbort(signal, () => this.#leave(waiter, aborted(signal)))
      this.#nextDeadlineAt = Math.min(this.#nextDeadlineAt, deadlineAt)
      this.#look(now)
      // Where nothing is being asked, there is nothing to hope for; nor from an engine that is away.
      const isAnswered = impatient && (!this.#asking || machine.mode === 'insured')
      if (isAnswered || this.#isLate(waiter, this.#waitingCost, now))
        this.#refuse(waiter, this.#waitingCost, now)
    })
  }

  /** Serves who can be served, asks for what is missing, and sets the alarm for what comes next. */
  #look(now: number, wanted = 0): void {
    if (this.#closed) return
    const machine = this.#machine
    this.#serve(now)
    const first = this.#waiters[0]
    const waiting = first ? { first: first.cost, all: this.#waitingCost } : { first: wanted, all: wanted }
    const request = machine.plan(now, waiting)
    if (request) {
      for (const waiter of this.#waiters) waiter.asked = true
      this.#asking = this.#ask(request)
    }
    const at = machine.nextAt(now, first ? waiting : nobodyWaits)
    this.#setTimer(Math.min(at, this.#nextDeadlineAt), now)
  }

  #serve(now: number): void {
    for (;;) {
      const first = this.#waiters[0]
      if (!first || !this.#machine.take(first.cost, now)) return
      this.#allowed += 1
      this.#leave(first, undefined)
    }
  }

  /** Sends away those whose answer has come and was no, and those who have waited long enough. */
  #sweep(now: number, hasAnswered: (waiter: Waiter) => boolean): void {
    let ahead = 0
    this.#nextDeadlineAt = Infinity
    for (const waiter of [...this.#waiters]) {
      ahead += waiter.cost
      if ((waiter.impatient && hasAnswered(waiter)) || this.#isLate(waiter, ahead, now)) {
        this.#refuse(waiter, ahead, now)
        ahead -= waiter.cost
      } else this.#nextDeadlineAt = Math.min(this.#nextDeadlineAt, waiter.deadlineAt)
    }
  }

  /** Whether it will not be its turn in time. While a question is open, nobody knows. */
  #isLate({ deadlineAt }: Waiter, ahead: number, now: number): boolean {
    if (now >= deadlineAt) return true
    const isKnown = this.#machine.mode === 'insured' || !this.#asking
    return isKnown && now + this.#machine.waitMs(ahead, now) > deadlineAt
  }

  #refuse(waiter: Waiter, ahead: number, now: number): void {
    if (!this.#waiters.includes(waiter)) return
    this.#limited += 1
    this.#leave(waiter, this.#refusal(waiter.cost, Math.max(1, this.#machine.waitMs(ahead, now))))
  }

  #leave(waiter: Waiter, error: unknown): void {
    const place = this.#waiters.indexOf(waiter)
    if (place < 0) return
    this.#waiters.splice(place, 1)
    this.#waitingCost -= waiter.cost
    waiter.release?.()
    if (error === undefined) waiter.resolve()
    else waiter.reject(error)
  }

  async #ask(request: LeaseRequest): Promise<void> {
    const { clock, random } = this.#options
    const machine = this.#machine
    const before = machine.mode
    try {
      const reply = await this.#run(request)
      machine.accept(reply, clock.now())
      this.#error = undefined
    } catch (error) {
      this.#error = engineError(error, 'SharedRateLimiter')
      machine.fail(clock.now(), random())
    }
    this.#asking = undefined
    const now = clock.now()
    this.#serve(now)
    this.#sweep(now, ({ asked }) => asked)
    this.#look(now)
    if (!this.#asking || machine.mode === 'insured') this.#sweep(now, () => true)
    if (machine.mode !== before) this.#tell()
  }

  #tell(): void {
    try {
      this.#options.onChange?.(this.#machine.mode, this.#error)
    } catch (error) {
      console.error('onChange of a SharedRateLimiter threw:', error)
    }
  }

  async #run(request: LeaseRequest) {
    this.#roundTrips += 1
    const { lease } = this.#options
    return bucketReply(
      await this.#calls.run(BUCKET, [this.#key], bucketArguments(this.#id, this.#options, lease, request)),
    )
  }

  #turnInMs(cost: number, now: number): number {
    if (cost > this.#options.burstCapacity) return Infinity
    return Math.max(1, this.#machine.waitMs(this.#waitingCost + cost, now))
  }

  #refusal(cost: number, retryAfter: number): RateLimitError {
    const { name, tokensPerSecond, burstCapacity } = this.#options
    const remedy = cost > burstCapacity ? 'it never holds so many' : `try again in ${retryAfter} ms`
    const part =
      this.#machine.mode === 'insured'
        ? ', of which this process keeps to its share while the engine is away'
        : ''
    return new RateLimitError(
      `Rate limit exceeded for ${name} (shared: ${tokensPerSecond}/s, burst ${burstCapacity}${part}): ${remedy}`,
      { retryAfter, endpoint: name, category: 'shared' },
    )
  }

  #setTimer(at: number, now: number = this.#options.clock.now()): void {
    const { clock, unref } = this.#options
    // Only who waits keeps the process alive.
    const held = this.#waiters.length > 0 && !unref
    if (this.#timer !== undefined && this.#timerAt === at && this.#timerHeld === held) return
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerAt = at
    this.#timerHeld = held
    if (at === Infinity) return
    const ring = () => {
      this.#timer = undefined
      const now = clock.now()
      if (now >= this.#nextDeadlineAt) {
        this.#serve(now)
        this.#sweep(now, () => false)
      }
      this.#look(now)
    }
    this.#timer = clock.setTimeout(ring, Math.max(0, Math.ceil(at - now)), !held)
  }
}

const DONE = Promise.resolve()

function aborted(signal: AbortSignal): AbortError {
  return new AbortError('aborted while waiting for a rate limit token', { cause: signal.reason })
}
