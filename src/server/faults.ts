// Faults on demand: what a playground's buttons and a tester's scripts switch on. Off unless the backend was made with
// `faults: true`, and then only for requests from this machine.

import type { Clock } from '../core/clock.ts'
import { sleep } from '../core/sleep.ts'
import { HttpRefusal } from './readJson.ts'

/** What is switched on. */
export interface FaultState {
  /** Share of HTTP requests answered 503. */
  failRate: number
  /** Milliseconds that everything takes longer. */
  latencyMs: number
  /** Milliseconds for which nobody is let in any more. */
  refusingMs: number
}

/** What may be asked for; every member is optional. */
export interface FaultRequest {
  /** Cut every WebSocket now, without a close frame. */
  cut?: boolean
  /** Be gone for so many milliseconds: cut every connection and let nobody in. */
  refuseMs?: number
  failRate?: number
  latencyMs?: number
}

const LIMITS: Readonly<Record<string, number>> = { refuseMs: 600_000, failRate: 1, latencyMs: 60_000 }

export class Faults {
  readonly #clock: Clock
  readonly #random: () => number
  #failRate = 0
  #latencyMs = 0
  #refuseUntil = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  get state(): FaultState {
    return {
      failRate: this.#failRate,
      latencyMs: this.#latencyMs,
      refusingMs: Math.max(0, Math.round(this.#refuseUntil - this.#clock.now())),
    }
  }

  /** Whether to be gone at this moment. */
  get refusing(): boolean {
    return this.#clock.now() < this.#refuseUntil
  }

  /** Whether the HTTP request at hand is to fail. */
  failsNow(): boolean {
    return this.#failRate > 0 && this.#random() < this.#failRate
  }

  /** Waits as long as everything takes longer; `undefined` when it does not. */
  delay(): Promise<void> | undefined {
    if (this.#latencyMs === 0) return undefined
    return sleep(this.#clock, this.#latencyMs, undefined, () => undefined, true)
  }

  /**
   * Switches faults on and off.
   * @returns whether connections are to be cut now
   * @throws HttpRefusal 400 for anything that is no fault
   */
  set(request: unknown): boolean {
    if (typeof request !== 'object' || request === null)
      throw new HttpRefusal(400, 'a JSON object is expected')
    const { cut = false, ...numbers } = request as FaultRequest
    if (typeof cut !== 'boolean') throw new HttpRefusal(400, '"cut" must be true or false')
    for (const [name, value] of Object.entries(numbers)) {
      const limit = Object.hasOwn(LIMITS, name) ? (LIMITS[name] as number) : undefined
      if (limit === undefined) throw new HttpRefusal(400, `there is no fault "${name.slice(0, 40)}"`)
      if (typeof value !== 'number' || !(value >= 0 && value <= limit)) {
        throw new HttpRefusal(400, `"${name}" must be a number from 0 to ${limit}`)
      }
    }
    this.#failRate = numbers.failRate ?? this.#failRate
    this.#latencyMs = numbers.latencyMs ?? this.#latencyMs
    if (numbers.refuseMs !== undefined) this.#refuseUntil = this.#clock.now() + numbers.refuseMs
    return cut || (numbers.refuseMs ?? 0) > 0
  }
}
