// One circuit breaker per origin, all under the same options: a backend that is down must not stop calls to another.

import type { Clock } from '../core/clock.ts'
import { checkedView } from '../core/options.ts'
import { BreakerMachine, type BreakerSnapshot } from '../policies/circuitBreaker/breakerMachine.ts'
import { type CircuitBreakerState, describeBreaker } from '../policies/circuitBreaker/CircuitBreaker.ts'
import {
  type CircuitBreakerOptions,
  circuitBreakerRules,
  type ResolvedCircuitBreakerOptions,
  resolveCircuitBreakerOptions,
} from '../policies/circuitBreaker/options.ts'
import { checkSnapshot } from '../policies/circuitBreaker/snapshot.ts'
import type { ApiClientEvents } from './events.ts'

/** A client without a base may meet any number of origins: the oldest closed breakers beyond this are forgotten. */
const MAX_ORIGINS = 256

export class Breakers {
  readonly #values: ResolvedCircuitBreakerOptions
  readonly #clock: Clock
  readonly #onChange: (event: ApiClientEvents['breaker'][0]) => void
  #machines: Map<string, BreakerMachine> | undefined
  #view: ResolvedCircuitBreakerOptions | undefined

  /** @throws TypeError or RangeError naming the option */
  constructor(
    options: CircuitBreakerOptions = {},
    clock: Clock,
    onChange: (event: ApiClientEvents['breaker'][0]) => void,
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
    return describeBreaker(this.#machines?.get(origin), this.#clock)
  }

  /** Closes the breaker of one origin, or all of them. */
  reset(origin?: string): void {
    for (const [name, machine] of this.#machines ?? []) if (name === (origin ?? name)) machine.reset()
  }

  /** The memory of every breaker that has any, by origin. */
  snapshot(): Record<string, BreakerSnapshot> {
    const snapshots: Record<string, BreakerSnapshot> = Object.create(null)
    for (const [origin, machine] of this.#machines ?? []) {
      const snapshot = machine.snapshot(this.#clock.now())
      if (snapshot.state !== 'CLOSED' || snapshot.counts) snapshots[origin] = snapshot
    }
    return snapshots
  }

  /** @throws TypeError or RangeError naming what is wrong; then nothing has changed */
  restore(snapshots: Readonly<Record<string, BreakerSnapshot>>): void {
    for (const [origin, snapshot] of Object.entries(snapshots))
      checkSnapshot('ApiClient.restoreCircuitBreakers', origin, snapshot)
    for (const [origin, snapshot] of Object.entries(snapshots))
      this.of(new URL(origin).origin).restore(snapshot, this.#clock.now())
  }

  #make(machines: Map<string, BreakerMachine>, origin: string): BreakerMachine {
    if (machines.size >= MAX_ORIGINS) {
      for (const [name, { state }] of machines) {
        if (state !== 'CLOSED') continue
        machines.delete(name)
        break
      }
    }
    const machine = new BreakerMachine(this.#values, (state, reason) =>
      this.#onChange({ origin, state, reason }),
    )
    machines.set(origin, machine)
    return machine
  }
}
