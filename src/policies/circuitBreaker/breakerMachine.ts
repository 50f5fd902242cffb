// When to stop calling a backend that fails, and when to try it again. A machine without clock or timer:
// every question and every report carries the time.
//
// Each change of state starts a new generation, and a permit is the number of the generation that gave it. A result that
// comes back under an older number is late: it belongs to a state that is over and decides nothing (Polly#216, #217).

import type { Outcome } from '../../core/outcome.ts'
import { SlidingWindow } from '../slidingWindow.ts'
import type { ResolvedCircuitBreakerOptions } from './options.ts'

export type BreakerStateName = 'CLOSED' | 'OPEN' | 'HALF_OPEN'

/** What a caller holds while its attempt runs; `REFUSED` when it may not run. */
export type Permit = number
export const REFUSED: Permit = 0

/** Why the state changed. */
export type BreakerReason =
  | 'consecutive-failures'
  | 'failure-rate'
  | 'slow-call-rate'
  | 'probe-failed'
  | 'probe-expired'
  | 'probes-succeeded'
  | 'open-time-over'
  | 'reset'
  | 'isolated'
  | 'restored'

type State =
  | { readonly kind: 'CLOSED' }
  | { readonly kind: 'OPEN'; readonly until: number }
  | { readonly kind: 'HALF_OPEN'; admitted: number; succeeded: number; expiresAt: number }

/** A breaker's memory, for another process or a later start. Times are left of the moment of the snapshot. */
export interface BreakerSnapshot {
  readonly state: 'CLOSED' | 'OPEN'
  /** Milliseconds until a probe may go; `null` when isolated. */
  readonly remainingMs: number | null
  /** How many times in a row it has opened without closing. */
  readonly openings: number
  /** What a closed one has counted; missing when it has counted nothing. */
  readonly counts?: BreakerCounts | undefined
}

/** What a breaker has counted in its window. */
export interface BreakerCounts {
  readonly calls: number
  readonly failed: number
  readonly slow: number
  /** Failures in a row, to the last attempt. */
  readonly consecutive: number
}

/** The kinds that the window adds up. */
const CALLS = 0
const FAILED = 1
const SLOW = 2

const CLOSED: State = { kind: 'CLOSED' }

const NO_COUNTS: BreakerCounts = { calls: 0, failed: 0, slow: 0, consecutive: 0 }

export class BreakerMachine {
  readonly #options: ResolvedCircuitBreakerOptions
  readonly #onChange: ((to: BreakerStateName, reason: BreakerReason) => void) | undefined
  #window: SlidingWindow
  #windowMs: number
  #state: State = CLOSED
  #generation: Permit = 1
  #consecutive = 0
  #openings = 0

  /**
   * @param options read anew at every decision: changing them takes effect at once
   * @param onChange told after every change of state
   */
  constructor(
    options: ResolvedCircuitBreakerOptions,
    onChange?: (to: BreakerStateName, reason: BreakerReason) => void,
  ) {
    this.#options = options
    this.#onChange = onChange
    this.#windowMs = options.window
    this.#window = new SlidingWindow(options.window, 3)
  }

  get state(): BreakerStateName {
    return this.#state.kind
  }

  /** Failures in the window. */
  failureCount(now: number): number {
    return this.#count(FAILED, now)
  }

  /** Attempts in the window. */
  requestCount(now: number): number {
    return this.#count(CALLS, now)
  }

  #count(kind: number, now: number): number {
    this.#window.advance(now)
    return this.#window.sums[kind] as number
  }

  /** When an attempt may be let through again; `null` while nothing is held back, `Infinity` while isolated. */
  get nextAttemptAt(): number | null {
    return this.#state.kind === 'OPEN' ? this.#state.until : null
  }

  /** Milliseconds until it is worth asking again. */
  retryAfter(now: number): number {
    const state = this.#state
    if (state.kind === 'OPEN') return Math.max(0, state.until - now)
    if (state.kind === 'HALF_OPEN') return Math.max(0, state.expiresAt - now)
    return 0
  }

  /**
   * Asks to run one attempt.
   * @param expiresInMs how long a probe may take before it counts as failed
   * @returns a permit for `record`, or `REFUSED`
   */
  acquire(now: number, expiresInMs: number = this.#options.probeTimeout): Permit {
    if (this.#state.kind === 'CLOSED') return this.#generation
    return this.#acquireProbe(now, expiresInMs)
  }

  #acquireProbe(now: number, expiresInMs: number): Permit {
    let state = this.#state
    if (state.kind === 'HALF_OPEN' && this.#isExhausted(state)) {
      // All probes are out. When the last of them has had its time and is still silent, the backend hangs.
      if (now < state.expiresAt) return REFUSED
      this.#open(now, 'probe-expired')
      state = this.#state
    }
    if (state.kind === 'OPEN') {
      if (now < state.until) return REFUSED
      this.#become({ kind: 'HALF_OPEN', admitted: 0, succeeded: 0, expiresAt: now }, 'open-time-over')
      state = this.#state
    }
    if (state.kind === 'HALF_OPEN') {
      state.admitted += 1
      state.expiresAt = Math.max(state.expiresAt, now + Math.min(expiresInMs, this.#options.probeTimeout))
    }
    return this.#generation
  }

  #isExhausted(state: State & { kind: 'HALF_OPEN' }): boolean {
    return state.admitted >= this.#options.halfOpenRequests
  }

  /** Whether an attempt of this generation is a probe. */
  isProbe(permit: Permit): boolean {
    return permit === this.#generation && this.#state.kind === 'HALF_OPEN'
  }

  /** Whether it matters how long an attempt takes. */
  get timesAttempts(): boolean {
    return this.#options.slowCallDuration !== Infinity
  }

  /** Reports how an attempt ended. Each permit is reported once; a late one changes nothing. */
  record(permit: Permit, outcome: Outcome, now: number, durationMs: number): void {
    if (permit !== this.#generation) return
    const state = this.#state
    if (state.kind === 'CLOSED') {
      if (outcome !== 'ignored') this.#judge(outcome === 'failure', now, durationMs)
    } else if (state.kind === 'HALF_OPEN') {
      this.#judgeProbe(state, outcome, now, durationMs)
    }
  }

  #judge(failed: boolean, now: number, durationMs: number): void {
    const options = this.#options
    if (options.window !== this.#windowMs) {
      this.#windowMs = options.window
      this.#window = new SlidingWindow(options.window, 3)
    }
    const window = this.#window
    const slow = durationMs > options.slowCallDuration
    window.add(now, CALLS, 1)
    if (failed) window.add(now, FAILED, 1)
    if (slow) window.add(now, SLOW, 1)
    this.#consecutive = failed ? this.#consecutive + 1 : 0
    const [calls, failures, slowCalls] = window.sums as [number, number, number]
    if ((!failed && !slow) || calls < options.volumeThreshold) return
    if (this.#consecutive >= options.threshold) this.#open(now, 'consecutive-failures')
    else if (failures >= options.failureRate * calls) this.#open(now, 'failure-rate')
    else if (slow && slowCalls >= options.slowCallRate * calls) this.#open(now, 'slow-call-rate')
  }

  #judgeProbe(state: State & { kind: 'HALF_OPEN' }, outcome: Outcome, now: number, durationMs: number): void {
    if (outcome === 'ignored') {
      // The permit goes back: another call may probe.
      state.admitted -= 1
    } else if (outcome === 'failure' || durationMs > this.#options.slowCallDuration) {
      this.#open(now, 'probe-failed')
    } else {
      state.succeeded += 1
      if (state.succeeded >= this.#options.halfOpenRequests) this.#close('probes-succeeded')
    }
  }

  /** Closes it and forgets what it has seen. */
  reset(): void {
    this.#close('reset')
  }

  /** Opens it until `reset`, whatever comes. */
  isolate(): void {
    this.#become({ kind: 'OPEN', until: Number.POSITIVE_INFINITY }, 'isolated')
  }

  snapshot(now: number): BreakerSnapshot {
    const state = this.#state
    if (state.kind === 'CLOSED') {
      const calls = this.#count(CALLS, now)
      const [, failed, slow] = this.#window.sums as [number, number, number]
      const counts = { calls, failed, slow, consecutive: this.#consecutive }
      return { state: 'CLOSED', remainingMs: 0, openings: 0, ...(calls > 0 && { counts }) }
    }
    const remaining = state.kind === 'OPEN' ? Math.max(0, state.until - now) : 0
    return {
      state: 'OPEN',
      remainingMs: remaining === Number.POSITIVE_INFINITY ? null : remaining,
      openings: this.#openings,
    }
  }

  /** Takes up where a snapshot left off. */
  restore(snapshot: BreakerSnapshot, now: number): void {
    if (snapshot.state === 'CLOSED') {
      this.#close('restored')
      const { calls, failed, slow, consecutive } = snapshot.counts ?? NO_COUNTS
      // When each of them was is not known: the window begins anew with all of them.
      this.#window.add(now, CALLS, calls)
      this.#window.add(now, FAILED, failed)
      this.#window.add(now, SLOW, slow)
      this.#consecutive = consecutive
      return
    }
    this.#openings = snapshot.openings
    const until = snapshot.remainingMs === null ? Number.POSITIVE_INFINITY : now + snapshot.remainingMs
    this.#become({ kind: 'OPEN', until }, 'restored')
  }

  #open(now: number, reason: BreakerReason): void {
    const { timeout, maxTimeout } = this.#options
    const openMs = Math.min(timeout * 2 ** this.#openings, Math.max(timeout, maxTimeout))
    this.#openings += 1
    this.#become({ kind: 'OPEN', until: now + openMs }, reason)
  }

  #close(reason: BreakerReason): void {
    this.#window.clear()
    this.#consecutive = 0
    this.#openings = 0
    this.#become(CLOSED, reason)
  }

  #become(state: State, reason: BreakerReason): void {
    const changed = state.kind !== this.#state.kind || reason === 'isolated'
    this.#state = state
    this.#generation += 1
    if (changed) this.#onChange?.(state.kind, reason)
  }
}
