// One circuit breaker per origin, all under the same options: a backend that is down must not stop calls to another.

import type { Clock } from '../core/clock.ts'
import { checkedView } from '../core/options.ts'
import {
  BreakerMachine,
  type BreakerReason,
  type BreakerSnapshot,
  type BreakerStateName,
} from '../policies/circuitBreaker/breakerMachine.ts'
import { type CircuitBreakerState, describeBreaker } from '../policies/circuitBreaker/CircuitBreaker.ts'
import {
  type CircuitBreakerOptions,
  circuitBreakerRules,
  type ResolvedCircuitBreakerOptions,
  resolveCircuitBreakerOptions,
} from '../policies/circuitBreaker/options.ts'
import { checkSnapshot } from '../policies/circuitBreaker/snapshot.ts'

/** A client without a base may meet any number of origins: the oldest closed breakers beyond this are forgotten. */
const MAX_ORIGINS = 256

export class Breakers {
  readonly #values: ResolvedCircuitBreakerOptions
  readonly #clock: Clock
  readonly #onChange: (origin: string, state: BreakerStateName, reason: BreakerReason) => void
  #machines: Map<string, BreakerMachine> | undefined
  #view: ResolvedCircuitBreakerOptions | undefined

  /** @throws TypeError or RangeError naming the option */
  constructor(
    options: CircuitBreakerOptions,
    clock: Clock,
    onChange: (origin: string, state: BreakerStateName, reason: BreakerReason) => void,
  ) {
    this.#values = resolveCircuitBreakerOptions(options, 'ApiClient circuitBreakerOptions')
    this.#clock = clock
    this.#onChange = onChange
  }

  /** The options of all of them; each can be assigned, is checked, and takes effect at once. */
  get options(): ResolvedCircuitBreakerOptions {
    this.#view ??= checkedView('ApiClient circuitBreaker', this.#values, circuitBreakerRules)
    return this.#view
  }

  /** The breaker of an origin; made at its first call. */
  of(origin: string): BreakerMachine {
    this.#machines ??= new Map()
    return this.#machines.get(origin) ?? this.#make(this.#machines, origin)
  }

  state(origin: string): CircuitBreakerState {
    const machine = this.#machines?.get(origin)
    if (machine) return describeBreaker(machine, this.#clock)
    return { state: 'CLOSED', failureCount: 0, requestCount: 0, nextAttempt: null }
  }

  /** Closes the breaker of one origin, or all of them. */
  reset(origin?: string): void {
    if (origin !== undefined) this.#machines?.get(origin)?.reset()
    else for (const machine of this.#machines?.values() ?? []) machine.reset()
  }

  /** The memory of every breaker that is not simply closed, by origin. */
  snapshot(): Record<string, BreakerSnapshot> {
    const snapshots: Record<string, BreakerSnapshot> = Object.create(null)
    for (const [origin, machine] of this.#machines ?? []) {
      if (machine.state !== 'CLOSED') snapshots[origin] = machine.snapshot(this.#clock.now())
    }
    return snapshots
  }

  /** @throws TypeError or RangeError naming what is wrong; then nothing has changed */
  restore(snapshots: Readonly<Record<string, unknown>>): void {
    const checked: [string, BreakerSnapshot][] = []
    for (const [origin, snapshot] of Object.entries(snapshots)) {
      checkSnapshot('ApiClient.restoreCircuitBreakers', origin, snapshot)
      checked.push([new URL(origin).origin, snapshot])
    }
    for (const [origin, snapshot] of checked) this.of(origin).restore(snapshot, this.#clock.now())
  }

  /** The origins that have been called. */
  origins(): string[] {
    return [...(this.#machines?.keys() ?? [])]
  }

  #make(machines: Map<string, BreakerMachine>, origin: string): BreakerMachine {
    if (machines.size >= MAX_ORIGINS) {
      for (const [name, machine] of machines) {
        if (machine.state !== 'CLOSED') continue
        machines.delete(name)
        break
      }
    }
    const machine = new BreakerMachine(this.#values, (state, reason) => this.#onChange(origin, state, reason))
    machines.set(origin, machine)
    return machine
  }
}
