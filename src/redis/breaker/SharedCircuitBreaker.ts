// A circuit breaker that a fleet shares: each process judges by what it sees itself, and whoever opens it opens it for all.
// The shell around a BreakerMachine; what all know is in the engine, changes are published, one process probes.

import type { Clock, TimerHandle } from '../../core/clock.ts'
import { CircuitBreakerError } from '../../core/errors.ts'
import { callable, checkOption, checkOptions, clockRule, interval } from '../../core/options.ts'
import type { Outcome } from '../../core/outcome.ts'
import { randomId } from '../../core/randomId.ts'
import { systemClock } from '../../core/systemClock.ts'
import { circuitOpenError } from '../../policies/circuitBreaker/BreakerLayer.ts'
import {
  BreakerMachine,
  type BreakerReason,
  type BreakerStateName,
  REFUSED,
} from '../../policies/circuitBreaker/breakerMachine.ts'
import { type CircuitBreakerState, describeBreaker } from '../../policies/circuitBreaker/CircuitBreaker.ts'
import {
  type CircuitBreakerOptions,
  type ResolvedCircuitBreakerOptions,
  resolveCircuitBreakerOptions,
} from '../../policies/circuitBreaker/options.ts'
import { around, type Ending, type Inner, LayerPolicy, type Run } from '../../policies/layer.ts'
import type { AttemptContext } from '../../policies/Policy.ts'
import { EngineCalls, engineRule, started } from '../EngineCalls.ts'
import { type EngineError, engineError } from '../EngineError.ts'
import { nameRule } from '../limits/options.ts'
import type { RedisEngine } from '../RedisEngine.ts'
import {
  BREAKER,
  type BreakerFacts,
  type BreakerNews,
  type BreakerWord,
  breakerArguments,
  breakerMessage,
  breakerReply,
} from './breakerScript.ts'

export interface SharedCircuitBreakerOptions extends CircuitBreakerOptions {
  /** Made by `fromIoredis`, `fromNodeRedis` or `fromGlide`. */
  engine: RedisEngine
  /** What it protects: processes that say the same name share one breaker. */
  name: string
  /** What the engine's keys and channels begin with. @default 'guru' */
  prefix?: string
  /** How an error counts. @default aborts and refusals are ignored, an HTTP status below 500 is a success, the rest fails */
  classify?: (error: unknown) => Outcome
  /** Told after every change of state, with `restored` when the fleet brought it. */
  onChange?: (to: BreakerStateName, reason: BreakerReason) => void
  /** Told when the engine is away (and the breaker works on alone), and `undefined` when it is back. */
  onEngine?: (error: EngineError | undefined) => void
  /** Milliseconds until a silent engine counts as away. @default 500 */
  engineTimeout?: number
  clock?: Clock
}

const OWNER = 'SharedCircuitBreaker'
const rules = {
  prefix: nameRule,
  classify: callable,
  onChange: callable,
  onEngine: callable,
  engineTimeout: interval,
  clock: clockRule,
}
/** How often it looks by itself, should a message have been lost; more often when nothing is published to it. */
const LOOK_EVERY_MS = 5000
const LOOK_OFTEN_MS = 1000

const ignored = ['AbortError', 'RateLimitError', 'CircuitBreakerError', 'BulkheadError']

function classifyCall(error: unknown): Outcome {
  const { name, status } = (error ?? {}) as { name?: unknown; status?: unknown }
  if (ignored.includes(String(name))) return 'ignored'
  return typeof status === 'number' && status < 500 ? 'success' : 'failure'
}

/** A breaker for a whole fleet, as a policy for `compose` or an ApiClient's `policy`. */
export class SharedCircuitBreaker extends LayerPolicy {
  readonly #values: ResolvedCircuitBreakerOptions
  readonly #options: SharedCircuitBreakerOptions
  readonly #machine: BreakerMachine
  readonly #calls: EngineCalls
  readonly #clock: Clock
  readonly #classify: (error: unknown) => Outcome
  readonly #id = randomId()
  readonly #key: string
  /** The newest that is known. */
  #version = 0
  #state: BreakerStateName = 'CLOSED'
  #alone = true
  /** The probe of this process that was granted by the engine, by its permit. */
  #probe: number = REFUSED
  #asking = false
  /** When the probe of another process must be over. */
  #probedUntil = -Infinity
  /** The machine is being told what the fleet knows: no news. */
  #adopting = false
  #listens = false
  #leave: (() => Promise<void>) | undefined
  #timer: TimerHandle | undefined
  #closed = false

  /** @throws TypeError or RangeError naming the option */
  constructor(options: SharedCircuitBreakerOptions) {
    super()
    const { engine, name, prefix = 'guru', classify = classifyCall, clock = systemClock } = options
    const { onChange, onEngine, engineTimeout = 500, ...rest } = options
    checkOption(OWNER, 'engine', engine, engineRule)
    checkOption(OWNER, 'name', name, nameRule)
    checkOptions(OWNER, { prefix, classify, onChange, onEngine, engineTimeout, clock }, rules)
    const { engine: _e, name: _n, prefix: _p, classify: _c, clock: _k, ...thresholds } = rest
    this.#values = resolveCircuitBreakerOptions(thresholds, OWNER)
    this.#options = options
    this.#clock = clock
    this.#classify = classify
    this.#key = `${prefix}:breaker:${name}`
    this.#calls = new EngineCalls(engine, { what: `${OWNER} "${name}"`, timeout: engineTimeout, clock })
    this.#machine = new BreakerMachine(this.#values, (to, reason) => this.#onMachine(to, reason))
    this.#listen()
    void this.#look()
  }

  get state(): BreakerStateName {
    return this.#machine.state
  }

  getState(): CircuitBreakerState {
    return describeBreaker(this.#machine, this.#clock)
  }

  /** Whether the engine is away and this process decides by itself. */
  get isAlone(): boolean {
    return this.#alone
  }

  /**
   * Resolves when the engine has answered.
   * @throws EngineError when it cannot be used, after three seconds when it is only away; the breaker works on alone, and goes on trying
   */
  ready(): Promise<void> {
    return started(this.#clock, () =>
      this.#say('read').then(
        () => undefined,
        (error: EngineError) => error,
      ),
    )
  }

  /** Runs `operation` if the breaker lets it. @throws CircuitBreakerError without calling it; otherwise what it throws */
  [around](inner: Inner): Inner {
    return { enter: (run, context, ending) => this.#askAndEnter(inner, run, context, ending) }
  }

  #askAndEnter(inner: Inner, run: Run, context: AttemptContext, ending: Ending): void {
    const now = run.now(this.#clock)
    if (!this.#mustAsk(now)) {
      this.#enter(inner, run, context, ending, now, false)
      return
    }
    if (this.#asking) {
      ending.reject(this.#probedElsewhere(now))
      return
    }
    this.#asking = true
    this.#say('probe', this.#values.probeTimeout).then(
      (facts) => {
        this.#asking = false
        run.later()
        const later = run.now(this.#clock)
        if (!facts.granted && this.#mustAsk(later)) {
          // It is open still, and somebody else probes.
          this.#probedUntil = later + facts.probingMs
          ending.reject(this.#probedElsewhere(later))
        } else this.#enter(inner, run, context, ending, later, facts.granted)
      },
      () => {
        // The engine is away: alone, it probes when it thinks fit.
        this.#asking = false
        run.later()
        this.#enter(inner, run, context, ending, run.now(this.#clock), false)
      },
    )
  }

  /** Closes it, for all. Resolves when the engine knows; alone when it is away. Never rejects. */
  async reset(): Promise<void> {
    this.#adopt(() => this.#machine.reset())
    await this.#say('reset').catch(() => {})
  }

  /** Holds it open until `reset()`, for all. Resolves when the engine knows. Never rejects. */
  async isolate(): Promise<void> {
    this.#adopt(() => this.#machine.isolate())
    await this.#say('isolate').catch(() => {})
  }

  /** Listens and looks no more; works on alone. The engine stays open. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#alone = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    await this.#leave?.().catch(() => {})
  }

  /** Whether this call would be a probe, which the fleet has to agree to. */
  #mustAsk(now: number): boolean {
    if (this.#alone) return false
    if (this.#machine.state === 'HALF_OPEN') return true
    const at = this.#machine.nextAttemptAt
    return at !== null && now >= at
  }

  #probedElsewhere(now: number): CircuitBreakerError {
    const retryAfter = Math.max(1, Math.ceil(this.#probedUntil - now))
    return new CircuitBreakerError(
      `Circuit breaker is OPEN (a probe is under way) for ${this.#options.name}: nothing is sent for another ${retryAfter} ms`,
      { retryAfter },
    )
  }

  #enter(
    inner: Inner,
    run: Run,
    context: AttemptContext,
    ending: Ending,
    now: number,
    isProbe: boolean,
  ): void {
    const permit = this.#machine.acquire(now)
    if (permit === REFUSED) {
      if (isProbe) void this.#say('ignored').catch(() => {})
      ending.reject(circuitOpenError(this.#machine, now, this.#options.name))
      return
    }
    if (isProbe) this.#probe = permit
    inner.enter(run, context, {
      resolve: (value) => {
        this.#record(permit, 'success', now, isProbe)
        ending.resolve(value)
      },
      reject: (error) => {
        this.#record(permit, this.#classify(error), now, isProbe)
        ending.reject(error)
      },
    })
  }

  #record(permit: number, outcome: Outcome, startedAt: number, isProbe: boolean): void {
    const now = this.#clock.now()
    this.#machine.record(permit, outcome, now, now - startedAt)
    if (!isProbe) return
    this.#probe = REFUSED
    // A failure, a slow success included, has opened the machine, and that has been told.
    if (outcome === 'ignored') void this.#say('ignored').catch(() => {})
    else if (this.#machine.state !== 'OPEN') void this.#say('succeeded').catch(() => {})
  }

  #onMachine(to: BreakerStateName, reason: BreakerReason): void {
    if (to !== this.#state) {
      this.#state = to
      guarded(() => this.#options.onChange?.(to, reason))
    }
    if (this.#adopting || to !== 'OPEN') return
    const { remainingMs } = this.#machine.snapshot(this.#clock.now())
    const isProbe = reason === 'probe-failed' || reason === 'probe-expired'
    void this.#say(isProbe ? 'failed' : 'open', remainingMs ?? 0).catch(() => {})
  }

  #adopt(change: () => void): void {
    this.#adopting = true
    try {
      change()
    } finally {
      this.#adopting = false
    }
  }

  /** Says or asks something, and takes up what the fleet knows. @throws EngineError */
  async #say(word: BreakerWord, openMs = 0): Promise<BreakerFacts> {
    const { openings } = this.#machine.snapshot(this.#clock.now())
    const request = { word, openMs, openings, probes: this.#values.halfOpenRequests }
    let facts: BreakerFacts
    try {
      facts = breakerReply(
        await this.#calls.run(BREAKER, [this.#key], breakerArguments(this.#id, this.#key, request)),
      )
    } catch (error) {
      const failure = engineError(error, OWNER)
      if (!this.#closed) this.#turn(true, failure)
      throw failure
    }
    if (this.#closed) return facts
    const wasAlone = this.#alone
    this.#turn(false, undefined)
    if (
      word === 'read' &&
      this.#machine.state === 'OPEN' &&
      facts.state === 'CLOSED' &&
      (wasAlone || facts.version === 0)
    ) {
      // What it has learned alone, or what the engine has forgotten, the fleet should know.
      const { remainingMs } = this.#machine.snapshot(this.#clock.now())
      if (facts.version <= this.#version)
        return this.#say(remainingMs === null ? 'isolate' : 'open', remainingMs ?? 0)
    }
    this.#learn(facts)
    return facts
  }

  /** Takes up what is newer than what it knows. */
  #learn(facts: BreakerNews): void {
    if (facts.version <= this.#version || this.#closed) return
    this.#version = facts.version
    const now = this.#clock.now()
    const { state } = this.#machine
    // A closed one keeps what it has seen.
    if (facts.state === 'CLOSED' && state === 'CLOSED') return
    // The result of a probe of its own is on its way and newer than this.
    if (facts.state === 'OPEN' && this.#probe !== REFUSED && facts.remainingMs === 0) return
    this.#adopt(() => this.#machine.restore(facts, now))
  }

  #turn(alone: boolean, error: EngineError | undefined): void {
    if (alone === this.#alone) return
    this.#alone = alone
    guarded(() => this.#options.onEngine?.(error))
  }

  #listen(): void {
    const onMessage = (message: Uint8Array) => {
      const facts = breakerMessage(message)
      if (facts) this.#learn(facts)
    }
    this.#calls
      .subscribe(this.#key, onMessage, () => void this.#say('read').catch(() => {}))
      .then(
        (leave) => {
          this.#leave = leave
          this.#listens = true
          if (this.#closed) void leave().catch(() => {})
          // Something may have changed between the first look and this.
          else void this.#say('read').catch(() => {})
        },
        (error: EngineError) => guarded(() => this.#options.onEngine?.(error)),
      )
  }

  async #look(): Promise<void> {
    await this.#say('read').catch(() => {})
    if (this.#closed) return
    const pauseMs = this.#listens && !this.#alone ? LOOK_EVERY_MS : LOOK_OFTEN_MS
    this.#timer = this.#clock.setTimeout(() => void this.#look(), pauseMs, true)
  }
}

/** Listeners are the app's: one that throws must not break what is between the fleet and the engine. */
function guarded(tell: () => void): void {
  try {
    tell()
  } catch (error) {
    console.error('a listener of a SharedCircuitBreaker threw:', error)
  }
}
