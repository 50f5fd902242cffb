// A circuit breaker around any operation: the shell of BreakerMachine.

import type { Clock } from '../../core/clock.ts'
import { fenced, saysNothing } from '../../core/errors.ts'
import { callable, checkedView, checkOptions, clockRule } from '../../core/options.ts'
import type { Outcome } from '../../core/outcome.ts'
import { systemClock } from '../../core/systemClock.ts'
import { BreakerLayer } from './BreakerLayer.ts'
import {
  BreakerMachine,
  type BreakerReason,
  type BreakerSnapshot,
  type BreakerStateName,
} from './breakerMachine.ts'
import {
  type CircuitBreakerOptions,
  circuitBreakerRules,
  type ResolvedCircuitBreakerOptions,
  resolveCircuitBreakerOptions,
} from './options.ts'
import { checkSnapshot } from './snapshot.ts'

export interface CircuitBreakerPolicyOptions extends CircuitBreakerOptions {
  /** How an error counts. @default an abort, what another policy refused and what a function of the app's threw are ignored, everything else is a failure */
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

function classifyByDefault(error: unknown): Outcome {
  return saysNothing(error) ? 'ignored' : 'failure'
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

const rules = { ...circuitBreakerRules, classify: callable, onChange: callable, clock: clockRule }

/** Stops calling what keeps failing. `options` can be changed while it runs. */
export class CircuitBreaker extends BreakerLayer {
  /** The thresholds in force; each can be assigned and is checked. */
  readonly options: ResolvedCircuitBreakerOptions
  readonly #machine: BreakerMachine
  readonly #clock: Clock

  /** @throws TypeError or RangeError naming the option */
  constructor(options: CircuitBreakerPolicyOptions = {}) {
    checkOptions('CircuitBreaker', options, rules)
    const { classify = classifyByDefault, onChange, clock = systemClock, ...rest } = options
    const values = resolveCircuitBreakerOptions(rest)
    const machine = new BreakerMachine(
      values,
      onChange && ((to, reason) => fenced('onChange', () => onChange(to, reason))),
    )
    super({
      clock,
      machineOf: () => machine,
      classify: (error) => fenced('classify', () => classify(error)),
    })
    this.options = checkedView('CircuitBreaker', values, circuitBreakerRules)
    this.#machine = machine
    this.#clock = clock
  }

  get state(): BreakerStateName {
    return this.#machine.state
  }

  getState(): CircuitBreakerState {
    return describeBreaker(this.#machine, this.#clock)
  }

  /** Closes it and forgets what it has seen. */
  reset(): void {
    this.#machine.reset()
  }

  /** Holds it open until `reset()`: for maintenance. */
  isolate(): void {
    this.#machine.isolate()
  }

  /** Its memory, to `restore` elsewhere or after a start. */
  snapshot(): BreakerSnapshot {
    return this.#machine.snapshot(this.#clock.now())
  }

  /** @throws TypeError or RangeError naming what is wrong with it; then nothing has changed */
  restore(snapshot: BreakerSnapshot): void {
    checkSnapshot('CircuitBreaker.restore', 'snapshot', snapshot)
    this.#machine.restore(snapshot, this.#clock.now())
  }
}

/** A circuit breaker as a policy for `compose`. */
export function circuitBreaker(options: CircuitBreakerPolicyOptions = {}): CircuitBreaker {
  return new CircuitBreaker(options)
}
