// A circuit breaker around any operation: the shell of BreakerMachine.

import type { Clock } from '../../core/clock.ts'
import { CircuitBreakerError } from '../../core/errors.ts'
import { callable, checkedView, checkOptions, clockRule } from '../../core/options.ts'
import type { Outcome } from '../../core/outcome.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type Ending, type Inner, type Layer, type Run, runWithin, within } from '../layer.ts'
import { type AttemptContext, firstAttempt, type Operation } from '../Policy.ts'
import {
  BreakerMachine,
  type BreakerReason,
  type BreakerSnapshot,
  type BreakerStateName,
  REFUSED,
} from './breakerMachine.ts'
import {
  type CircuitBreakerOptions,
  circuitBreakerRules,
  type ResolvedCircuitBreakerOptions,
  resolveCircuitBreakerOptions,
} from './options.ts'
import { checkSnapshot } from './snapshot.ts'

export interface CircuitBreakerPolicyOptions extends CircuitBreakerOptions {
  /** How an error counts. @default an abort is ignored, everything else is a failure */
  classify?: ((error: unknown) => Outcome) | undefined
  /** Told after every change of state. */
  onChange?: ((to: BreakerStateName, reason: BreakerReason) => void) | undefined
  clock?: Clock | undefined
}

/** What `getState()` tells. */
export interface CircuitBreakerState {
  state: BreakerStateName
  /** Failures in the window. */
  failureCount: number
  /** Attempts in the window. */
  requestCount: number
  /** When the next attempt may go, milliseconds since the epoch; `null` while nothing is held back or it is isolated. */
  nextAttempt: number | null
}

function classifyByName(error: unknown): Outcome {
  return error instanceof Error && error.name === 'AbortError' ? 'ignored' : 'failure'
}

/** The state of a machine in the words of `getState()`; one that has not been made yet is closed. */
export function describeBreaker(machine: BreakerMachine | undefined, clock: Clock): CircuitBreakerState {
  const now = clock.now()
  const at = machine?.nextAttemptAt ?? Infinity
  return {
    state: machine?.state ?? 'CLOSED',
    failureCount: machine?.failureCount(now) ?? 0,
    requestCount: machine?.requestCount(now) ?? 0,
    nextAttempt: at === Infinity ? null : Math.round(clock.wallNow() + at - now),
  }
}

/** The error of a call that a breaker refused. */
export function circuitOpenError(machine: BreakerMachine, now: number, what: string): CircuitBreakerError {
  const retryAfter = Math.ceil(machine.retryAfter(now))
  const when = retryAfter === Number.POSITIVE_INFINITY ? 'until it is reset' : `for another ${retryAfter} ms`
  return new CircuitBreakerError(
    `Circuit breaker is ${machine.state === 'HALF_OPEN' ? 'OPEN (a probe is under way)' : 'OPEN'}${what && ` for ${what}`}: nothing is sent ${when}`,
    { retryAfter },
  )
}

/** Stops calling what keeps failing. `options` can be changed while it runs. */
export class CircuitBreaker implements Layer {
  /** The thresholds in force; each can be assigned and is checked. */
  readonly options: ResolvedCircuitBreakerOptions
  readonly #parts: Parts

  /** @throws TypeError or RangeError naming the option */
  constructor(options: CircuitBreakerPolicyOptions = {}) {
    const { classify = classifyByName, onChange, clock = systemClock, ...rest } = options
    checkOptions(
      'CircuitBreaker',
      { classify, onChange, clock },
      { classify: callable, onChange: callable, clock: clockRule },
    )
    const values = resolveCircuitBreakerOptions(rest)
    this.options = checkedView('CircuitBreaker', values, circuitBreakerRules)
    this.#parts = { machine: new BreakerMachine(values, onChange), classify, clock }
  }

  get state(): BreakerStateName {
    return this.#parts.machine.state
  }

  getState(): CircuitBreakerState {
    return describeBreaker(this.#parts.machine, this.#parts.clock)
  }

  /**
   * Runs `operation` if the breaker lets it.
   * @throws CircuitBreakerError without calling it; otherwise what it throws
   */
  execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
    return runWithin(this, operation, context)
  }

  [within](inner: Inner, run: Run, context: AttemptContext, ending: Ending): void {
    const { machine, clock } = this.#parts
    const now = run.now(clock)
    let permit: number
    try {
      permit = machine.acquire(now)
    } catch (thrownByListener) {
      ending.reject(thrownByListener)
      return
    }
    if (permit === REFUSED) ending.reject(circuitOpenError(machine, now, ''))
    else inner.enter(run, context, new Permitted(this.#parts, permit, now, ending))
  }

  /** Closes it and forgets what it has seen. */
  reset(): void {
    this.#parts.machine.reset()
  }

  /** Holds it open until `reset()`: for maintenance. */
  isolate(): void {
    this.#parts.machine.isolate()
  }

  /** Its memory, to `restore` elsewhere or after a start. */
  snapshot(): BreakerSnapshot {
    return this.#parts.machine.snapshot(this.#parts.clock.now())
  }

  /** @throws TypeError or RangeError naming what is wrong with it; then nothing has changed */
  restore(snapshot: BreakerSnapshot): void {
    checkSnapshot('CircuitBreaker.restore', 'snapshot', snapshot)
    this.#parts.machine.restore(snapshot, this.#parts.clock.now())
  }
}

/** What a breaker judges with. */
interface Parts {
  readonly machine: BreakerMachine
  readonly classify: (error: unknown) => Outcome
  readonly clock: Clock
}

/** An operation that was let through: its end is reported to the breaker. */
class Permitted implements Ending {
  readonly #parts: Parts
  readonly #permit: number
  readonly #startedAt: number
  readonly #ending: Ending

  constructor(parts: Parts, permit: number, startedAt: number, ending: Ending) {
    this.#parts = parts
    this.#permit = permit
    this.#startedAt = startedAt
    this.#ending = ending
  }

  resolve(value: unknown): void {
    try {
      this.#record('success')
    } catch (thrownByListener) {
      this.#ending.reject(thrownByListener)
      return
    }
    this.#ending.resolve(value)
  }

  reject(error: unknown): void {
    let failure = error
    try {
      this.#record(this.#parts.classify(error))
    } catch (thrownByListener) {
      failure = thrownByListener
    }
    this.#ending.reject(failure)
  }

  #record(outcome: Outcome): void {
    const { machine, clock } = this.#parts
    const now = clock.now()
    machine.record(this.#permit, outcome, now, now - this.#startedAt)
  }
}

/** A circuit breaker as a policy for `compose`. */
export function circuitBreaker(options: CircuitBreakerPolicyOptions = {}): CircuitBreaker {
  return new CircuitBreaker(options)
}
