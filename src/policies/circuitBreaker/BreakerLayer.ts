// A circuit breaker around each attempt: the shell of BreakerMachine. Whose machine it is, and what an end means, is said by its
// terms.

import type { Clock } from '../../core/clock.ts'
import { CircuitBreakerError } from '../../core/errors.ts'
import type { Outcome } from '../../core/outcome.ts'
import { around, type Ending, type Inner, LayerPolicy, Link, type Run } from '../layer.ts'
import type { AttemptContext } from '../Policy.ts'
import { type BreakerMachine, REFUSED } from './breakerMachine.ts'

/** What breaking goes by: the same for all in a policy by itself, each call's own in a client. */
export interface BreakerTerms<R extends Run = Run> {
  readonly clock: Clock
  /** The machine that judges a run; `undefined` when none does. */
  machineOf(run: R): BreakerMachine | undefined
  classify(error: unknown, run: R): Outcome
  /** How long a probe may take. @default the machine's own option */
  probeMs?(run: R, now: number): number
  /** What is not called, for the message. */
  nameOf?(run: R): string
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

export class BreakerLayer<R extends Run = Run> extends LayerPolicy<R> {
  protected readonly terms: BreakerTerms<R>

  constructor(terms: BreakerTerms<R>) {
    super()
    this.terms = terms
  }

  [around](inner: Inner<R>): Inner<R> {
    return new Breaking(this.terms, inner)
  }
}

class Breaking<R extends Run> implements Inner<R> {
  readonly terms: BreakerTerms<R>
  readonly inner: Inner<R>

  constructor(terms: BreakerTerms<R>, inner: Inner<R>) {
    this.terms = terms
    this.inner = inner
  }

  enter(run: R, context: AttemptContext, ending: Ending): void {
    const machine = this.terms.machineOf(run)
    if (!machine) {
      this.inner.enter(run, context, ending)
      return
    }
    const permitted = new Permitted(this.terms, machine, run, ending)
    if (permitted.ask()) this.inner.enter(run, context, permitted)
  }
}

/** An attempt that was let through: its end is reported to the breaker. */
class Permitted<R extends Run> extends Link {
  readonly #terms: BreakerTerms<R>
  readonly #machine: BreakerMachine
  readonly #run: R
  #permit = REFUSED
  /** While it matters: a number that is no whole one takes an object of its own. */
  #startedAt: number | undefined

  constructor(terms: BreakerTerms<R>, machine: BreakerMachine, run: R, ending: Ending) {
    super(ending)
    this.#terms = terms
    this.#machine = machine
    this.#run = run
  }

  /** Others may probe while this one waits. */
  override pause(): void {
    this.record('ignored')
    super.pause()
  }

  /** The circuit may have opened meanwhile. */
  override resume(): boolean {
    return this.ask() && super.resume()
  }

  /** @returns whether it is let through; if not, that has been reported */
  ask(): boolean {
    const { clock, probeMs, nameOf } = this.#terms
    const run = this.#run
    const now = run.now(clock)
    try {
      this.#permit = this.#machine.acquire(now, probeMs?.(run, now))
    } catch (thrown) {
      this.ending.reject(thrown)
      return false
    }
    if (this.#machine.timesAttempts) this.#startedAt = now
    if (this.#permit !== REFUSED) return true
    this.ending.reject(circuitOpenError(this.#machine, now, nameOf?.(run) ?? ''))
    return false
  }

  override resolve(value: unknown): void {
    try {
      this.record('success')
    } catch (thrown) {
      this.ending.reject(thrown)
      return
    }
    this.ending.resolve(value)
  }

  override reject(error: unknown): void {
    let failure = error
    try {
      this.record(this.#terms.classify(error, this.#run))
    } catch (thrown) {
      // Who judges has failed, not who was called.
      this.record('ignored')
      failure = thrown
    }
    this.ending.reject(failure)
  }

  // Not a `#method`: that would put a mark on every object.
  private record(outcome: Outcome): void {
    const permit = this.#permit
    if (permit === REFUSED) return
    this.#permit = REFUSED
    const now = this.#terms.clock.now()
    this.#machine.record(permit, outcome, now, this.#startedAt === undefined ? 0 : now - this.#startedAt)
  }
}
